import BenchmarkSupport
import Glibc

/// Puts the same load on Skerry's runtime and on a program that others have written, in turns, and says what it costs each.
/// Scripts/bench builds and starts it; Docs/performance.md tells what its figures mean.
@main
enum RuntimeBench {
    /// Not asynchronous: the main queue that such a main brings along lets signals through.
    static func main() {
        do {
            switch try Command(Array(CommandLine.arguments.dropFirst())) {
            case .help:
                print(Command.usage)
            case .serve(let directory):
                try HTTPBenchServer.run(directory)
            case .serveUDP(let role):
                try UDPBenchServer.run(role)
            case .serveUDPInC(let role):
                try UDPBenchServer.runInC(role)
            case .hold(let port, let kind, let count):
                try HeldConnections.run(port, kind, count)
            case .measure(let plan):
                try measure(plan)
            }
        } catch {
            note("runtime-bench: \(error)")
            exit(error is BadUsage ? 2 : 1)
        }
    }

    private static func measure(_ plan: Command.Plan) throws {
        _ = descriptorLimit()
        let processors = try Processors()
        try withTemporaryDirectory("runtime-bench") { directory in
            try Fixtures.make(in: directory)
            if !plan.scenarios.isEmpty {
                let generator = try Generator(directory: directory)
                var comparison = Comparison(plan, on: processors)
                try comparison.run(in: directory, with: generator)
            }
            if plan.includesSlowClients {
                try SlowClients(plan, on: processors).run(in: directory)
            }
            if !plan.heldConnections.isEmpty {
                try IdleMemory(plan, on: processors).run(in: directory)
            }
        }
    }
}
