import Deployment

runProcess("edge-central", CentralConfiguration.self) { configuration, context in
    try await EdgeCentral(configuration, context)
}
