import Base
import JSONCodec
import Runtime

enum DrainCommand {
    private static let wait = Parameter<Duration>.optional(
        "--wait", .duration, "return when no allocation is left, or fail after that time")
    private static let undo = Parameter<Bool>.flag("--undo", "take new work again")

    static let command = Command(
        name: "drain", summary: "Have a node take no new work, before it is stopped.",
        discussion: """
            Live allocations go on. Clients that ask for a new one are sent to relay.alternate_servers, or refused where there are
            none; /readyz says that the node is not ready. SIGTERM does the same, and then ends the process.

            Run by the user that the node runs as, on its host: it is asked over its control socket.
            """,
        parameters: [wait.declaration, undo.declaration, Output.json.declaration] + ControlConnection.parameters
    ) { invocation, context in
        let node = try ControlConnection(invocation, context)
        if invocation[undo], invocation[wait] != nil {
            throw UsageError(message: "--undo and --wait exclude each other", path: invocation.path)
        }
        var state = try await node.ask(invocation[undo] ? "DELETE" : "POST", "/drain")
        if let wait = invocation[wait] {
            let deadline = context.loop.now + wait
            while state["allocations"]?.int != 0 {
                guard context.loop.now < deadline else {
                    throw CommandFailure(
                        "\(state["allocations"]?.int ?? 0) allocations are left after \(formatDuration(wait))")
                }
                try await context.loop.sleep(for: .milliseconds(250))
                state = try await node.ask("GET", "/drain")
            }
        }
        if invocation[Output.json] { return Output.write(state) }
        let count = state["allocations"]?.int ?? 0
        Terminal.print(
            "\(state["draining"]?.bool == true ? "draining" : "taking new work"); \(count) "
                + "allocation\(count == 1 ? "" : "s")")
    }
}
