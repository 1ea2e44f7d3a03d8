import ConfigurationFile
import Deployment
import JSONCodec
import Runtime

enum ConfigCommands {
    static let command = Command.group("config", "Look at configuration files.", [CheckCommand.command])
}

private enum CheckCommand {
    private static let file = Parameter<String>.positional(
        "FILE", .path, "the configuration of an edge-node or an edge-central")
    private static let kind = Parameter<String>.optional(
        "--for", .oneOf(["edge-node", "edge-central"]), "whose it is; told by its keys if not given")

    static let command = Command(
        name: "check", summary: "Say what is wrong with a configuration file: unknown keys, values, what is missing.",
        parameters: [file.declaration, kind.declaration, Output.json.declaration]
    ) { invocation, context in
        let path = invocation[file]
        let given = invocation[kind]
        let (kind, found) = try await context.pool.run { () -> (String, String?) in
            switch given {
            case "edge-node"?: return ("edge-node", problem { _ = try NodeConfiguration.load(path) })
            case "edge-central"?: return ("edge-central", problem { _ = try CentralConfiguration.load(path) })
            default:
                // The file is for whom it has less wrong with; a good one is good for one of them alone.
                let central = problem { _ = try CentralConfiguration.load(path) }
                let node = problem { _ = try NodeConfiguration.load(path) }
                return lineCount(central) < lineCount(node) ? ("edge-central", central) : ("edge-node", node)
            }
        }
        if invocation[Output.json] {
            Output.write([
                "for": .string(kind), "good": .bool(found == nil),
                "problems": .array((found ?? "").split(separator: "\n").map { .string(String($0)) }),
            ])
            if found != nil { throw CommandFailure("\(path) is wrong") }
        } else {
            if let found { throw CommandFailure(found) }
            Terminal.print("\(path) is good for \(kind)")
        }
    }

    private static func problem(_ load: () throws -> Void) -> String? {
        do {
            try load()
            return nil
        } catch {
            return "\(error)"
        }
    }

    private static func lineCount(_ problem: String?) -> Int {
        problem.map { $0.split(separator: "\n").count } ?? 0
    }
}
