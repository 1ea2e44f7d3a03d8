import Base
import Client

/// The tree of commands.
let edgeControl = Command.group(
    "edgectl", "Skerry's command line: for operators, developers and tests.",
    [
        TokenCommand.command, UploadCommand.command, FetchCommand.command, SignCommand.command, MessageCommands.command,
        StatusCommands.command, CallCommand.command, RelayCommands.command, DrainCommand.command,
        EnrollCommands.command,
        ConfigCommands.command, DevCommand.command, DemoCommand.command,
    ])

/// Runs what the arguments name.
///
/// - Returns: the exit status: 0 done, 1 failed.
func run(_ command: Command, _ invocation: Invocation, _ context: CommandContext) async -> Int32 {
    guard let body = command.run else { preconditionFailure("a leaf without a body") }
    do {
        try await body(invocation, context)
        return 0
    } catch let usage as UsageError {
        return report(usage)
    } catch {
        Terminal.printError("edgectl: \(error)")
        return 1
    }
}

/// Says what is wrong with the arguments.
///
/// - Returns: the exit status 2.
func report(_ usage: UsageError) -> Int32 {
    Terminal.printError(
        "edgectl: \(usage.message)\n'\(usage.path.joined(separator: " ")) --help' shows what is allowed.")
    return 2
}
