/// A node of the command tree: either a group of commands, or a leaf that does something.
struct Command: Sendable {
    let name: String
    /// One line, for the list of the group above.
    let summary: String
    /// What the summary leaves out: behaviour, examples.
    var discussion = ""
    var parameters: [Declaration] = []
    var subcommands: [Command] = []
    /// Whether it ends by itself on SIGINT and SIGTERM, which are blocked for it.
    var ownsSignals = false
    var run: (@Sendable (Invocation, CommandContext) async throws -> Void)?

    static func group(_ name: String, _ summary: String, _ subcommands: [Command], discussion: String = "") -> Command {
        Command(name: name, summary: summary, discussion: discussion, subcommands: subcommands)
    }
}

/// What the user asked for, checked against the declarations.
struct Invocation: Sendable {
    /// The names from the root to the command.
    let path: [String]
    var values: [String: [String]] = [:]

    subscript<Value>(parameter: Parameter<Value>) -> Value {
        parameter.read(values[parameter.declaration.name] ?? [])
    }
}

/// The command line was wrong: exit status 2.
struct UsageError: Error, Equatable {
    let message: String
    /// The command whose help explains.
    let path: [String]
}

/// The command could not do what was asked: exit status 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
