import Base
import Client
import JSONCodec
import Runtime
import Wire

enum MessageCommands {
    static let command = Command.group(
        "message", "Send and receive messages.", [SendMessageCommand.command, ListenCommand.command])
}

private enum SendMessageCommand {
    private static let to = Parameter<PeerAddress>.required("--to", .peer, "a user, one of its devices, or a group")
    private static let text = Parameter<String>.positional("TEXT", .text("TEXT"), "the payload")
    private static let messageClass = Parameter<String>.option(
        "--class", .oneOf(MessageClass.allCases.map(\.rawValue)), "priority and life", default: "message",
        shownAs: "message")
    private static let expires = Parameter<Duration>.optional("--expires", .duration, "when it is of no use any more")

    static let command = Command(
        name: "send", summary: "Send a message; returns when it is durable.",
        parameters: [
            to.declaration, text.declaration, messageClass.declaration, expires.declaration, Output.json.declaration,
        ] + Connection.parameters
    ) { invocation, context in
        let client = try Connection(invocation, context).messaging()
        try await connected(client) {
            let accepted = try await client.send(
                Array(invocation[text].utf8), to: invocation[to],
                class: MessageClass(rawValue: invocation[messageClass]) ?? .message,
                expiresInSeconds: invocation[expires].map { $0.components.seconds })
            if invocation[Output.json] {
                Output.write([
                    "id": .string("\(accepted.id)"), "time_ms": accepted.time.map { .int($0.milliseconds) } ?? .null,
                ])
            } else {
                Terminal.print("accepted \(accepted.id)")
            }
        }
    }
}

private enum ListenCommand {
    private static let count = Parameter<Int>.option(
        "--count", .count(in: 0...Int.max), "end after so many messages; 0: go on", default: 0, shownAs: "0")
    private static let keep = Parameter<Bool>.flag("--keep", "do not acknowledge: the messages will come again")

    static let command = Command(
        name: "listen", summary: "Print what arrives: messages, statuses, call signals.",
        discussion: "Reconnects by itself. Messages are acknowledged when they are printed. Ends with Ctrl-C.",
        parameters: [count.declaration, keep.declaration, Output.json.declaration] + Connection.parameters
    ) { invocation, context in
        let client = try Connection(invocation, context).messaging()
        let isJSON = invocation[Output.json]
        var left = invocation[count]
        await client.start()
        while let event = await client.events.next() {
            if isJSON {
                if let frame = frame(of: event) { Terminal.print(frame.json) }
            } else if let line = line(for: event) {
                Terminal.print(line)
            }
            if case .ended(let end) = event { throw end }
            guard case .deliver(let delivery) = event else { continue }
            if !invocation[keep] { await client.acknowledge(delivery.sequence) }
            left -= 1
            if left == 0 { break }
        }
        await client.close()
    }

    /// The frame that the server sent, as it sent it.
    private static func frame(of event: MessagingEvent) -> ServerFrame? {
        switch event {
        case .connected(let welcome): .welcome(welcome)
        case .deliver(let delivery): .deliver(delivery)
        case .drained: .drained
        case .gap(let gap): .gap(gap)
        case .statusNew(let item): .statusNew(item)
        case .statusGone(let gone): .statusGone(gone)
        case .call(let notice): .call(notice)
        case .error(let failure): .error(failure)
        case .disconnected, .ended: nil
        }
    }

    private static func line(for event: MessagingEvent) -> String? {
        switch event {
        case .connected(let welcome): "connected as \(welcome.device)\(welcome.resumed ? ", resumed" : "")"
        case .disconnected(let reason): "disconnected: \(reason)"
        case .deliver(let delivery):
            "\(delivery.sequence) \(delivery.from) \(delivery.messageClass.rawValue): \(printable(delivery.payload))"
        case .drained: "the inbox is empty"
        case .gap(let gap): "messages \(gap.from) to \(gap.to) are gone: \(gap.reason.rawValue)"
        case .statusNew(let item): "status \(item.status) of \(item.user), expires at \(item.expiresAt)"
        case .statusGone(let gone): "status \(gone.status) of \(gone.user) is gone"
        case .call(let notice): "call \(notice.call) \(notice.event.rawValue) from \(notice.from)"
        case .error(let failure): "error \(failure.code.rawValue): \(failure.message)"
        case .ended: nil
        }
    }

    /// The text, or how many bytes that are none: payloads are opaque, and a terminal obeys control characters.
    private static func printable(_ payload: [UInt8]) -> String {
        guard let text = String(validating: payload, as: UTF8.self),
            text.unicodeScalars.allSatisfy({ !$0.properties.isControl || $0 == "\n" || $0 == "\t" })
        else { return "\(payload.count) bytes" }
        return text
    }
}

extension Unicode.Scalar.Properties {
    fileprivate var isControl: Bool { generalCategory == .control || generalCategory == .format }
}

/// Runs the body while the client is connected, and takes its events so that nothing waits for them.
///
/// - Throws: the client's end when the server refuses it before the body is done.
func connected(_ client: MessagingClient, _ body: () async throws -> Void) async throws {
    await client.start()
    let drain = Task {
        while await client.events.next() != nil {}
    }
    do {
        try await body()
    } catch {
        await client.close()
        throw error
    }
    await client.close()
    await drain.value
}
