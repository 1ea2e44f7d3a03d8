import BenchmarkSupport
import CLoadGenerator

/// How long others wait for their answers while very many clients send their requests a byte a second.
struct SlowClients {
    private static let count = 10_000
    private static let connections = 64
    private static let perSecond = 5_000

    private struct Sample {
        var p50: [Double] = []
        var p99: [Double] = []
        var p999: [Double] = []

        /// - Parameter delays: in nanoseconds, sorted.
        mutating func add(_ delays: [UInt32]) {
            func percentile(_ share: Double) -> Double { Double(delays[Int(Double(delays.count) * share)]) / 1000 }
            p50.append(percentile(0.5))
            p99.append(percentile(0.99))
            p999.append(percentile(0.999))
        }

        var cells: String { [p50, p99, p999].map { Spread($0).text(decimals: 0) }.joined(separator: " | ") }
    }

    private let plan: Command.Plan
    private let processors: Processors

    init(_ plan: Command.Plan, on processors: Processors) {
        self.plan = plan
        self.processors = processors
    }

    func run(in directory: String) throws {
        guard descriptorLimit() > Self.count + 500 else {
            throw BenchError("\(Self.count) slow clients need more descriptors than a process may have here")
        }
        say(
            """

            Slow clients: \(Self.perSecond) requests a second for 16 KiB over \(Self.connections) connections, alone and while \
            \(Self.count) others send a byte of a request each second.

            | microseconds until the answer, min / median / max | p50 | p99 | p99.9 |
            |---|---|---|---|
            """)
        for contender in [Contender.skerry, .nginx] where plan.wants(contender) {
            var (alone, beside) = (Sample(), Sample())
            for round in 1...plan.rounds {
                note("round \(round)/\(plan.rounds)  slow clients of \(contender.name)")
                let server = try contender.start(processor: processors.server, directory: directory)
                alone.add(try load(server, slow: 0))
                beside.add(try load(server, slow: Self.count))
            }
            say("| \(contender.name), alone | \(alone.cells) |")
            say("| \(contender.name), beside slow clients | \(beside.cells) |")
        }
    }

    /// Sorted delays.
    private func load(_ server: RunningContender, slow: Int) throws -> [UInt32] {
        var tally = skerry_connect_tally()
        let seconds = plan.secondsPerScenario
        let delays = [UInt32](unsafeUninitializedCapacity: seconds * Self.perSecond + 1000) {
            $1 = skerry_paced_requests(
                server.ports.first, Int32(slow), Int32(Self.connections), Int32(Self.perSecond),
                Int64(seconds) * 1_000_000_000, &tally, $0.baseAddress, $0.count)
        }
        guard tally.failed == 0, !delays.isEmpty else { throw BenchError("\(tally.failed) connections were lost") }
        return delays.sorted()
    }
}
