import Glibc
import Runtime

// A reader that went away ends a write with an error, not the process.
signal(SIGPIPE, SIG_IGN)

let arguments = Array(CommandLine.arguments.dropFirst())
let chosen: (command: Command, invocation: Invocation)
do throws(UsageError) {
    switch try CommandParser(root: edgeControl).parse(arguments) {
    case .help(let command, let path):
        Terminal.print(HelpText(command: command, path: path).render())
        // Help that was asked for is a success; a group without a command is not a command.
        exit(arguments.contains(where: { ["--help", "-h", "help"].contains($0) }) ? 0 : 2)
    case .run(let command, let invocation): chosen = (command, invocation)
    }
} catch {
    exit(report(error))
}

if chosen.command.ownsSignals { ServiceGroup.blockSignals() }
let context: CommandContext
do {
    let loops = try EventLoopGroup(count: 1, name: "edgectl")
    context = CommandContext(loop: loops.next(), pool: BlockingPool(threads: 8, name: "files", queueLimit: 1024))
} catch {
    Terminal.printError("edgectl: no event loop: \(error)")
    exit(1)
}
context.loop.spawn {
    exit(await run(chosen.command, chosen.invocation, context))
}
while true { pause() }
