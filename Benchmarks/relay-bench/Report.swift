import Base
import BenchmarkSupport
import CLoadGenerator

/// The figures of all rounds, and how they are printed.
struct Report {
    struct Sample {
        let tally: skerry_tally
        let packetsPerProcessorSecond: Double
        let packetsPerSecond: Double
        /// Of the time that the load took.
        let processorShare: Double
        let delays: [UInt32]

        init(_ outcome: Load.Outcome, elapsedNs: Int64, processorNs: UInt64) {
            tally = outcome.tally
            packetsPerProcessorSecond = Double(tally.received) / (Double(processorNs) / 1e9)
            packetsPerSecond = Double(tally.received) / (Double(elapsedNs) / 1e9)
            processorShare = Double(processorNs) / Double(elapsedNs)
            delays = outcome.delays
        }
    }

    /// What one round found.
    private struct Round {
        var samples: [String: Sample] = [:]
        var direct: [UInt32] = []
        /// Processor time of everything but the load and the server, while loads ran; and how long they ran.
        var othersNs: Int64 = 0
        var elapsedNs: Int64 = 0

        /// Of one processor, in percent.
        var disturbance: Int { max(0, Int(100 * othersNs / max(1, elapsedNs))) }
    }

    private let plan: Command.Plan
    private let processors: Processors
    var titles: [String] = []
    private var rounds: [Round] = []
    private var discarded = 0

    init(_ plan: Command.Plan, _ processors: Processors) {
        self.plan = plan
        self.processors = processors
    }

    var roundCount: Int { rounds.count }

    mutating func beginRound() { rounds.append(Round()) }

    /// Whether other programs had more than a twentieth of a processor in this round.
    var isDisturbed: Bool { rounds[rounds.count - 1].disturbance > 5 }

    mutating func discardRound() {
        rounds.removeLast()
        discarded += 1
    }

    mutating func add(_ server: Server, _ load: Load, _ sample: Sample) {
        rounds[rounds.count - 1].samples["\(server.rawValue) \(load.name)"] = sample
    }

    mutating func addDirect(_ delays: [UInt32]) { rounds[rounds.count - 1].direct = delays }

    mutating func addMachine(from start: ProcessorTime, to end: ProcessorTime, serverNs: UInt64, elapsedNs: Int64) {
        let all = Int64(end.all - start.all)
        rounds[rounds.count - 1].othersNs += all - Int64(end.own - start.own) - Int64(serverNs)
        rounds[rounds.count - 1].elapsedNs += elapsedNs
    }

    private func of(_ server: Server, _ load: Load) -> [Sample] {
        rounds.compactMap { $0.samples["\(server.rawValue) \(load.name)"] }
    }

    // MARK: - Printing

    func print() {
        for title in titles { say(title) }
        say(
            "Server on processor \(processors.server), load on \(processors.load); loopback; ChannelData with "
                + "\(Load.payloadBytes) bytes of payload;")
        say("\(plan.rounds) rounds in alternating order, a new server process in each.")
        let disturbance = rounds.map { "\($0.disturbance)" }.joined(separator: " ")
        say("Everything else on the machine used, in percent of one processor, by round: \(disturbance)")
        if discarded > 0 { say("\(discarded) rounds in which it used more than 5 percent were done again.") }
        table("Thousand packets relayed per second of the server's processor time", ratio: "/") {
            $0.packetsPerProcessorSecond / 1000
        }
        table("Thousand packets relayed per second") { $0.packetsPerSecond / 1000 }
        table("Share of a processor in use, percent") { $0.processorShare * 100 }
        if plan.loads.contains(where: \.isPaced) { printDelays() }
        printFaults()
    }

    private func table(_ title: String, ratio: String? = nil, _ value: (Sample) -> Double) {
        say("\n\(title): min / median / max")
        say(row("", plan.servers.map(\.rawValue) + (ratio != nil && plan.servers.count == 2 ? ["ratio"] : [])))
        for load in plan.loads {
            let columns = plan.servers.map { of($0, load).map(value) }
            var cells = columns.map(Spread.init).map { $0.text(decimals: 0) }
            if ratio != nil, columns.count == 2 {
                cells.append(Spread(zip(columns[0], columns[1]).map { $0 / $1 }).text(decimals: 2))
            }
            say(row(load.title, cells))
        }
    }

    /// One way, from the sender's clock before the call to the receiver's kernel.
    private func printDelays() {
        say("\nDelay one way in microseconds, less the median without a relay: min / median / max")
        say(row("", plan.servers.map(\.rawValue) + ["without"]))
        let direct = rounds.map(\.direct)
        let bare = direct.map { Self.percentile($0, 0.5) }
        let base = Spread(bare).median
        for load in plan.loads where load.isPaced {
            for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                var cells = plan.servers.map { server in
                    Spread(of(server, load).map { Self.percentile($0.delays, share) - base }).text(decimals: 1)
                }
                cells.append(Spread(direct.map { Self.percentile($0, share) }).text(decimals: 1))
                say(row("\(load.title), \(name)", cells))
            }
        }
    }

    private func printFaults() {
        say("\nPackets of these rounds; lost are also those that took longer than 200 ms")
        say(row("", ["sent", "lost", "damaged", "sent late"], width: 12))
        for server in plan.servers {
            for load in plan.loads {
                let all = of(server, load).map(\.tally)
                func sum(_ member: KeyPath<skerry_tally, UInt64>) -> Int {
                    all.reduce(0) { $0 + Int($1[keyPath: member]) }
                }
                let figures = [sum(\.sent), sum(\.sent) - sum(\.received), sum(\.damaged), sum(\.late)]
                say(row("\(server.rawValue): \(load.title)", figures.map(String.init), width: 12))
            }
        }
    }

    private static func percentile(_ sorted: [UInt32], _ share: Double) -> Double {
        guard !sorted.isEmpty else { return .nan }
        return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
    }

    private func row(_ title: String, _ cells: [String], width: Int = 24) -> String {
        func padding(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(1, width - text.count))
        }
        return cells.reduce(title + padding(title, 44)) { $0 + padding($1, width) + $1 }
    }

    private func say(_ line: String) { Swift.print(line) }
}
