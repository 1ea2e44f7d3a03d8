import Base
import JSONCodec

enum RelayCommands {
    static let command = Command.group(
        "relay", "See and end the allocations of a node's relay.",
        [RelaySessionsCommand.command, RelayKickCommand.command],
        discussion: "Run by the user that the node runs as, on its host: it is asked over its control socket.")
}

private enum RelaySessionsCommand {
    private static let limit = Parameter<Int>.option(
        "--limit", .count(in: 1...100_000), "how many to show", default: 100, shownAs: "100")
    private static let tenant = Parameter<String>.optional("--tenant", .name("TENANT"), "those of one tenant")
    private static let user = Parameter<String>.optional(
        "--user", .name("USER"), "those of one user (of the tenant default, if --tenant is not given)")

    static let command = Command(
        name: "sessions", summary: "List the live allocations of a node.",
        parameters: [limit.declaration, tenant.declaration, user.declaration, Output.json.declaration]
            + ControlConnection.parameters
    ) { invocation, context in
        let query = [
            ("limit", String(invocation[limit])), ("tenant", invocation[tenant]), ("user", invocation[user]),
        ].compactMap { name, value in value.map { "\(name)=\($0)" } }
        let answer = try await ControlConnection(invocation, context)
            .ask("GET", "/relay/sessions?" + query.joined(separator: "&"))
        if invocation[Output.json] { return Output.write(answer) }
        let sessions = answer["sessions"]?.array ?? []
        var table = TextTable(["session", "user", "client", "over", "relayed", "age", "to peers", "to client"])
        table.rows = sessions.map(row)
        if !sessions.isEmpty { Terminal.print(table.render()) }
        Terminal.print("\(sessions.count) of \(answer["allocations"]?.int ?? 0) allocations of the node")
    }

    private static func row(_ session: JSONValue) -> [String] {
        func text(_ key: String) -> String { session[key]?.string ?? "-" }
        func bytes(_ key: String) -> String { formatBytes(Int64(session[key]?.int ?? 0)) }
        return [
            text("session"), "\(text("tenant")):\(text("user"))", text("client"), text("transport"),
            (session["relayed"]?.array ?? []).compactMap(\.string).joined(separator: " "),
            formatDuration(.seconds(session["age_s"]?.int ?? 0)), bytes("bytes_to_peers"), bytes("bytes_to_client"),
        ]
    }
}

private enum RelayKickCommand {
    private static let session = Parameter<String>.optional(
        "--session", .name("SESSION"), "one, by its name in 'relay sessions'")
    private static let tenant = Parameter<String>.optional("--tenant", .name("TENANT"), "all of a tenant")
    private static let user = Parameter<String>.optional(
        "--user", .name("USER"), "all of a user (of the tenant default, if --tenant is not given)")
    private static let revoke = Parameter<Bool>.flag(
        "--revoke", "take back the credentials of the user or the tenant, too")

    static let command = Command(
        name: "kick", summary: "End allocations of a node at once.",
        discussion: """
            The client finds out with its next message, and may make a new allocation as long as its credentials are good. With
            --revoke those that were made before count no longer at this node; those made later do, so that whoever makes them has
            to know of it too.
            """,
        parameters: [
            session.declaration, tenant.declaration, user.declaration, revoke.declaration, Output.json.declaration,
        ]
            + ControlConnection.parameters
    ) { invocation, context in
        let members = [
            ("session", invocation[session]), ("tenant", invocation[tenant]), ("user", invocation[user]),
        ]
        guard members.contains(where: { $0.1 != nil }) else {
            throw UsageError(message: "give --session, --user or --tenant", path: invocation.path)
        }
        guard !invocation[revoke] || invocation[session] == nil else {
            throw UsageError(message: "--revoke goes with --user or --tenant", path: invocation.path)
        }
        var body = JSONObject()
        for (name, value) in members { body[name] = value.map { .string($0) } }
        if invocation[revoke] { body["revoke"] = true }
        let answer = try await ControlConnection(invocation, context).ask("POST", "/relay/kick", .object(body))
        if invocation[Output.json] { return Output.write(answer) }
        let count = answer["ended"]?.int ?? 0
        Terminal.print("\(count) allocation\(count == 1 ? "" : "s") ended")
    }
}
