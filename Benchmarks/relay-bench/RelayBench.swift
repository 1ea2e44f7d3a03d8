import BenchmarkSupport
import Glibc

/// Relays the same packets through Skerry's relay and through coturn, in turns, and says what a packet costs each.
/// Scripts/bench builds and starts it; Docs/performance.md tells what its figures mean.
@main
enum RelayBench {
    static func main() async {
        do {
            switch try Command(Array(CommandLine.arguments.dropFirst())) {
            case .help:
                print(Command.usage)
            case .serve:
                try await RelayServer.run()
            case .compare(let plan):
                var comparison = Comparison(plan, on: try Processors())
                try comparison.run()
            }
        } catch {
            note("relay-bench: \(error)")
            exit(error is BadUsage ? 2 : 1)
        }
    }
}
