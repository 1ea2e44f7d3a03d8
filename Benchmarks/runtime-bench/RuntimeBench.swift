import BenchmarkSupport
import Glibc

/// Puts the same load on Skerry's runtime and on a program that others have written, in turns, and says what it costs each.
/// Scripts/bench builds and starts it; Docs/performance.md tells what its figures mean.
@main
enum RuntimeBench {
    static func main() async {
        do {
            switch try Command(Array(CommandLine.arguments.dropFirst())) {
            case .help:
                print(Command.usage)
            case .serve(let directory):
                try await HTTPBenchServer.run(directory)
            case .compare(let plan):
                var comparison = Comparison(plan, on: try Processors())
                try comparison.run()
            }
        } catch {
            note("runtime-bench: \(error)")
            exit(error is BadUsage ? 2 : 1)
        }
    }
}
