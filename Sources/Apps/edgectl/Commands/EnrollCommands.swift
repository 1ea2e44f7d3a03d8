import Base
import Deployment
import JSONCodec
import Runtime
import UplinkService

enum EnrollCommands {
    static let command = Command.group(
        "enroll", "Give nodes their certificates.", [EnrollTokenCommand.command, EnrollNodeCommand.command],
        discussion: """
            On the central's host, 'enroll token' makes a token that is good once. On the new node's host, 'enroll node' makes a
            key there and gets its certificate for the token.
            """)
}

private enum EnrollTokenCommand {
    private static let configuration = Parameter<String>.required("--config", .path, "the central's configuration")
    private static let region = Parameter<String>.required("--region", .text("REGION"), "the node's region")
    private static let name = Parameter<String>.required(
        "--name", .text("NAME"), "the node's name, unique in the cluster")
    private static let life = Parameter<Duration>.option(
        "--ttl", .duration, "how long the token is good for", default: .seconds(3600), shownAs: "1h")

    static let command = Command(
        name: "token", summary: "Make a token with which one node gets its certificate, once.",
        parameters: [
            configuration.declaration, region.declaration, name.declaration, life.declaration, Output.json.declaration,
        ]
    ) { invocation, context in
        let path = invocation[configuration]
        let central = try await context.pool.run { try CentralConfiguration.load(path) }
        guard let database = central.enrolment.databasePath else {
            throw CommandFailure("\(path) has no enrolment.database_path: this central enrols nobody")
        }
        guard let identity = NodeIdentity(cluster: central.cluster, region: invocation[region], name: invocation[name])
        else {
            throw UsageError(message: "region and name are 1 to 64 of A-Z a-z 0-9 . _ -", path: invocation.path)
        }
        let authority = try SecretFile.readPublicText(central.certificate.authorityFile)
        let store = try await context.pool.run { try EnrolmentStore(path: database) }
        defer { store.close() }
        let token = try await store.makeToken(
            for: identity, authorityPEM: authority, life: invocation[life], now: WallClock.now())
        if invocation[Output.json] {
            Output.write(["token": .string(token.text), "node": .string(identity.uri)])
        } else {
            Terminal.print(token.text)
        }
    }
}

private enum EnrollNodeCommand {
    private static let central = Parameter<String>.required(
        "--central", .text("HOST:PORT"), "where the central listens")
    private static let token = Parameter<String>.required("--token", .text("TOKEN"), "what 'enroll token' printed")
    private static let folder = Parameter<String>.option(
        "--output", .text("DIR"), "where node.pem, node.key and ca.pem are written", default: "tls", shownAs: "tls")

    static let command = Command(
        name: "node", summary: "Make this node's key, and get its certificate for a token.",
        parameters: [central.declaration, token.declaration, folder.declaration, Output.json.declaration]
    ) { invocation, context in
        let folder = invocation[folder]
        for name in ["node.pem", "node.key", "ca.pem"] where FileSystem.exists("\(folder)/\(name)") {
            throw CommandFailure("\(folder)/\(name) is there already; this node seems to be enrolled")
        }
        let node = try await Enrolment.enrol(
            central: invocation[central], token: invocation[token], on: context.loop)
        try await context.pool.run {
            try FileSystem.makeDirectory(folder)
            try FileSystem.replace("\(folder)/node.key", with: Array(node.privateKeyPEM.utf8))
            try FileSystem.replace("\(folder)/node.pem", with: Array(node.certificatePEM.utf8), mode: 0o644)
            try FileSystem.replace("\(folder)/ca.pem", with: Array(node.authorityPEM.utf8), mode: 0o644)
        }
        if invocation[Output.json] {
            Output.write(["node": .string(node.identity.uri), "folder": .string(folder)])
        } else {
            Terminal.print("\(node.identity) is enrolled; its key and certificates are in \(folder)")
        }
    }
}
