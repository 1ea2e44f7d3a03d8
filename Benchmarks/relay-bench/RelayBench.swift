import BenchmarkSupport
import Glibc

/// Puts the same packets through Skerry's relay, coturn and a minimal relay in C, in turns, and says what a packet, an
/// allocation and its memory cost each. Scripts/bench builds and starts it; Docs/performance.md tells what its figures mean.
@main
enum RelayBench {
    static func main() async {
        do {
            switch try Command(Array(CommandLine.arguments.dropFirst())) {
            case .help:
                print(Command.usage)
            case .serve:
                try await RelayServer.run()
            case .serveInC:
                try RelayServer.runInC()
            case .measure(let plan):
                _ = descriptorLimit()
                let processors = try Processors()
                try withTemporaryDirectory("relay-bench") {
                    var comparison = Comparison(plan, on: processors)
                    try comparison.run(in: $0)
                }
            }
        } catch {
            note("relay-bench: \(error)")
            exit(error is BadUsage ? 2 : 1)
        }
    }
}
