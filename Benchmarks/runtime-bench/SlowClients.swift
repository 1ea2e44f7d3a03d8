import BenchmarkSupport
import CLoadGenerator
import Glibc

/// How long others wait for their answers while very many clients send their requests a byte a second.
struct SlowClients {
    private static let count = 10_000
    private static let fastConnections = 16

    private struct Sample {
        var p50: [Double] = []
        var p99: [Double] = []
        var perSecond: [Double] = []

        mutating func add(_ outcome: LoadOutcome, seconds: Int) {
            p50.append(Double(outcome.p50))
            p99.append(Double(outcome.p99))
            perSecond.append(Double(outcome.count) / Double(seconds))
        }

        var cells: String {
            "\(Spread(p50).text(decimals: 0)) | \(Spread(p99).text(decimals: 0)) | \(Spread(perSecond).text(decimals: 0))"
        }
    }

    private let plan: Command.Plan
    private let processors: Processors

    init(_ plan: Command.Plan, on processors: Processors) {
        self.plan = plan
        self.processors = processors
    }

    func run(in directory: String, with generator: Generator) throws {
        guard descriptorLimit() > Self.count + 500 else {
            throw BenchError("\(Self.count) slow clients need more descriptors than a process may have here")
        }
        say(
            """

            Slow clients: wrk with \(Self.fastConnections) connections (16 KiB), alone and while \(Self.count) others send \
            a byte of a request each second.

            | min / median / max | p50 in µs | p99 in µs | requests per second |
            |---|---|---|---|
            """)
        for contender in [Contender.skerry, .nginx] where plan.wants(contender) {
            var (alone, beside) = (Sample(), Sample())
            for round in 1...plan.rounds {
                note("round \(round)/\(plan.rounds)  slow clients of \(contender.name)")
                let server = try contender.start(processor: processors.server, directory: directory)
                alone.add(try load(server, generator), seconds: plan.secondsPerScenario)
                let slow = try ServerProcess(
                    [ServerProcess.ownPath, "--trickle", "\(server.ports.first)", "\(Self.count)"], processor: nil,
                    showsErrors: true)
                guard slow.firstLine() == "open" else { throw BenchError("the slow clients cannot connect") }
                beside.add(try load(server, generator), seconds: plan.secondsPerScenario)
                guard slow.isRunning else { throw BenchError("\(contender.name) has closed slow connections") }
            }
            say("| \(contender.name), alone | \(alone.cells) |")
            say("| \(contender.name), beside slow clients | \(beside.cells) |")
        }
    }

    private func load(_ server: RunningContender, _ generator: Generator) throws -> LoadOutcome {
        let load = Scenario.Load.wrk(path: "/16k", connections: Self.fastConnections, isTLS: false)
        let outcome = try generator.run(load, on: server, seconds: plan.secondsPerScenario)
        guard outcome.faults == 0 else { throw BenchError("\(outcome.faults) requests were not answered") }
        return outcome
    }

    /// In the process of the slow clients: prints a line when all are connected, and ends when one was closed.
    static func trickle(_ port: UInt16, _ count: Int) throws {
        _ = descriptorLimit()
        skerry_trickle(port, Int32(count)) {
            say("open")
        }
        throw BenchError("a slow client's connection was closed")
    }
}
