import BenchmarkSupport

/// The figures of all rounds, and how they are printed.
struct Report {
    private struct Key: Hashable {
        let contender: Contender
        let scenario: String
    }

    private let plan: Command.Plan
    private let processors: Processors
    private var titles: [String] = []
    /// What was done per second of the server's processor time, by round.
    private var samples: [Key: [Double]] = [:]
    private var faults: [Key: Int] = [:]
    /// The last sample, for whoever watches.
    private(set) var latest = ""
    private var othersNs: Int64 = 0
    private var elapsedNs: Int64 = 0

    init(_ plan: Command.Plan, _ processors: Processors) {
        self.plan = plan
        self.processors = processors
    }

    mutating func describe(_ contender: Contender) throws {
        let title = try contender.title
        if !titles.contains(title) { titles.append(title) }
    }

    mutating func add(
        _ contender: Contender, _ scenario: Scenario, _ outcome: LoadOutcome, processorNs: UInt64,
        from start: ProcessorTime, to end: ProcessorTime
    ) {
        let key = Key(contender: contender, scenario: scenario.name)
        let done =
            switch scenario.unit {
            case .requests, .handshakes, .messages, .datagrams: Double(outcome.count)
            case .megabytes: Double(outcome.bytes) / 1e6
            }
        let value = done / (Double(processorNs) / 1e9)
        samples[key, default: []].append(value)
        faults[key, default: 0] += outcome.faults
        othersNs += Int64(end.all - start.all) - Int64(end.own - start.own) - Int64(processorNs)
        elapsedNs += Int64(end.monotonicNs - start.monotonicNs)
        latest = "\(Int(value)) \(scenario.unit.rawValue) per CPU-second"
        if outcome.faults > 0 { latest += ", \(outcome.faults) FAULTS" }
    }

    func print() {
        for title in titles { say("- \(title)") }
        say(
            """
            - Servers on processor \(processors.server), load on processor \(processors.load), loopback; \(plan.rounds) rounds \
            in alternating order with new servers in each, \(plan.secondsPerScenario) s for each figure.
            """)
        say(
            "- Everything else on the machine used \(max(0, 100 * othersNs / max(1, elapsedNs))) percent of a processor."
        )
        say("")
        say(row("per second of the server's processor time, min / median / max", ["Skerry", "peer", "ratio"]))
        say("|---|---|---|---|")
        for scenario in plan.scenarios {
            let ours = samples[Key(contender: scenario.ours, scenario: scenario.name)] ?? []
            let peer = samples[Key(contender: scenario.peer, scenario: scenario.name)] ?? []
            let cells = [
                Spread(ours).text(decimals: 0), "\(scenario.peer.name) \(Spread(peer).text(decimals: 0))",
                Spread(zip(ours, peer).map { $0 / $1 }).text(decimals: 2),
            ]
            say(row("\(scenario.title): \(scenario.unit.rawValue)", cells))
        }
        for (key, count) in faults where count > 0 {
            say(
                "\n\(count) requests of \(key.scenario) to \(key.contender.rawValue) were not answered as they should be."
            )
        }
    }

    private func row(_ title: String, _ cells: [String]) -> String {
        "| \(title) | " + cells.joined(separator: " | ") + " |"
    }
}

extension String {
    /// With spaces behind it.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
