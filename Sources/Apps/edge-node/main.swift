import Deployment

runProcess("edge-node", NodeConfiguration.self) { configuration, context in
    try await EdgeNode(configuration, context)
}
