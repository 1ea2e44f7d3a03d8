import Base
import Client
import JSONCodec
import Runtime
import Wire

enum StatusCommands {
    static let command = Command.group(
        "status", "Post, list and delete statuses, which end by themselves.",
        [PostStatusCommand.command, ListStatusCommand.command, DeleteStatusCommand.command])
}

private enum PostStatusCommand {
    private static let audience = Parameter<[String]>.required("--audience", .users, "who may see it")
    private static let media = Parameter<MediaID>.optional("--media", .media, "what it shows")
    private static let text = Parameter<String>.optional("--text", .text("TEXT"), "what it says")
    private static let expires = Parameter<Duration>.optional(
        "--expires", .duration, "when it is gone (the server's default is 24h)")

    static let command = Command(
        name: "post", summary: "Post a status to an audience.",
        parameters: [
            audience.declaration, media.declaration, text.declaration, expires.declaration, Output.json.declaration,
        ] + Connection.parameters
    ) { invocation, context in
        guard invocation[media] != nil || invocation[text] != nil else {
            throw UsageError(message: "give --media or --text, or both", path: invocation.path)
        }
        let client = try Connection(invocation, context).messaging()
        try await connected(client) {
            let accepted = try await client.postStatus(
                audience: invocation[audience], media: invocation[media],
                payload: invocation[text].map { Array($0.utf8) },
                expiresInMilliseconds: invocation[expires].map(\.milliseconds))
            if invocation[Output.json] {
                Output.write([
                    "id": .string("\(accepted.id)"), "time_ms": accepted.time.map { .int($0.milliseconds) } ?? .null,
                    "expires_at_ms": accepted.expiresAt.map { .int($0.milliseconds) } ?? .null,
                ])
            } else {
                Terminal.print("\(accepted.id)")
            }
        }
    }
}

private enum ListStatusCommand {
    private static let owner = Parameter<String>.optional(
        "--of", .text("USER"), "whose; everybody's that you may see if not given")

    static let command = Command(
        name: "list", summary: "List the statuses that you may see.",
        parameters: [owner.declaration, Output.json.declaration] + Connection.parameters
    ) { invocation, context in
        let client = try Connection(invocation, context).messaging()
        try await connected(client) {
            let items = try await client.listStatuses(of: invocation[owner])
            if invocation[Output.json] {
                Output.write(.array(items.map(json)))
            } else if items.isEmpty {
                Terminal.print("no statuses")
            } else {
                var table = TextTable(["status", "user", "life left", "media", "text"])
                let now = WallClock.now()
                table.rows = items.map { item in
                    [
                        "\(item.status)", item.user, formatDuration(max(.zero, item.expiresAt - now)),
                        item.media.map { String("\($0)".prefix(16)) } ?? "-",
                        item.payload.flatMap { String(validating: $0, as: UTF8.self) } ?? "-",
                    ]
                }
                Terminal.print(table.render())
            }
        }
    }

    private static func json(_ item: ServerFrame.StatusItem) -> JSONValue {
        .object([
            "status": .string("\(item.status)"), "user": .string(item.user),
            "media": item.media.map { .string("\($0)") },
            "payload": item.payload.map { .base64($0) }, "time_ms": .int(item.time.milliseconds),
            "expires_at_ms": .int(item.expiresAt.milliseconds),
        ])
    }
}

private enum DeleteStatusCommand {
    private static let status = Parameter<UUID>.positional("STATUS", .uuid, "the id that 'status post' printed")

    static let command = Command(
        name: "delete", summary: "Delete one of your statuses.",
        parameters: [status.declaration, Output.json.declaration] + Connection.parameters
    ) { invocation, context in
        let client = try Connection(invocation, context).messaging()
        try await connected(client) {
            try await client.deleteStatus(invocation[status])
            if invocation[Output.json] {
                Output.write(["deleted": .string("\(invocation[status])")])
            } else {
                Terminal.print("deleted \(invocation[status])")
            }
        }
    }
}
