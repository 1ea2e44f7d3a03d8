import BenchmarkSupport
import CLoadGenerator

/// The figures of all rounds, and how they are printed.
struct Report {
    private struct Key: Hashable {
        let contender: Contender
        let scenario: String
    }

    private struct Sample {
        let tally: skerry_tally
        let packetsPerProcessorSecond: Double
        /// Of the time that the load took, in percent.
        let processorShare: Double
        /// One way, in microseconds.
        let p50: Double
        let p99: Double
    }

    private let plan: Command.Plan
    private let processors: Processors
    private var titles: [String] = []
    /// By round.
    private var samples: [Key: [Sample]] = [:]
    private var costs: [Contender: [AllocationCosts]] = [:]
    /// Delays without a relay: the middle ones, and the p99.
    private var direct: [String: [(p50: Double, p99: Double)]] = [:]
    /// The last sample, for whoever watches.
    private(set) var latest = ""
    private var othersNs: Int64 = 0
    private var elapsedNs: Int64 = 0

    init(_ plan: Command.Plan, _ processors: Processors) {
        self.plan = plan
        self.processors = processors
    }

    mutating func describe(_ contender: Contender) throws { titles.append(try contender.title) }

    mutating func add(
        _ contender: Contender, _ scenario: Scenario, _ outcome: Scenario.Outcome, processorNs: UInt64,
        from start: ProcessorTime, to end: ProcessorTime
    ) {
        let seconds = Double(processorNs) / 1e9
        let sample = Sample(
            tally: outcome.tally, packetsPerProcessorSecond: Double(outcome.tally.received) / seconds,
            processorShare: 100 * Double(processorNs) / Double(end.monotonicNs - start.monotonicNs),
            p50: Self.percentile(outcome.delays, 0.5), p99: Self.percentile(outcome.delays, 0.99))
        samples[Key(contender: contender, scenario: scenario.name), default: []].append(sample)
        addMachine(processorNs, from: start, to: end)
        latest = "\(Int(sample.packetsPerProcessorSecond / 1000)) thousand packets per CPU-second"
        let lost = outcome.tally.lost
        if lost != 0 { latest += ", \(lost) of \(outcome.tally.sent) lost" }
        if outcome.tally.damaged > 0 { latest += ", \(outcome.tally.damaged) DAMAGED" }
    }

    mutating func add(_ contender: Contender, _ new: AllocationCosts, from start: ProcessorTime, to end: ProcessorTime)
    {
        costs[contender, default: []].append(new)
        addMachine(new.processorNs, from: start, to: end)
        latest = "\(Int(new.allocationMicroseconds)) µs, \(Int(new.bytesOfMany)) bytes each"
    }

    mutating func addDirect(_ scenario: Scenario, _ delays: [UInt32]) {
        direct[scenario.name, default: []].append((Self.percentile(delays, 0.5), Self.percentile(delays, 0.99)))
    }

    private mutating func addMachine(_ serverNs: UInt64, from start: ProcessorTime, to end: ProcessorTime) {
        othersNs += Int64(end.all - start.all) - Int64(end.own - start.own) - Int64(serverNs)
        elapsedNs += Int64(end.monotonicNs - start.monotonicNs)
    }

    private static func percentile(_ sorted: [UInt32], _ share: Double) -> Double {
        guard !sorted.isEmpty else { return .nan }
        return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
    }

    // MARK: - Printing

    func print() {
        for title in titles { say("- \(title)") }
        say(
            """
            - Servers on processor \(processors.server), load on processor \(processors.load), loopback; ChannelData, two \
            peers to an allocation; \(plan.rounds) rounds in alternating order with new servers in each, \
            \(plan.secondsPerScenario) s for each figure.
            - Everything else on the machine used \(max(0, 100 * othersNs / max(1, elapsedNs))) percent of a processor.
            """)
        if !plan.scenarios.isEmpty { printPackets() }
        if plan.scenarios.contains(where: \.isPaced) { printDelays() }
        if plan.includesAllocations { printAllocations() }
        printFaults()
    }

    /// Ours by each of the others, where both were measured.
    private var pairs: [(title: String, ours: Contender, peer: Contender)] {
        guard plan.contenders.contains(.ours) else { return [] }
        return plan.contenders.filter { $0 != .ours }.map { ("ours/\($0.name)", .ours, $0) }
    }

    private func printPackets() {
        head(
            "thousand packets per second of the server's processor time, min / median / max",
            plan.contenders.map(\.name) + pairs.map(\.title))
        for scenario in plan.scenarios {
            func values(_ contender: Contender) -> [Double] {
                of(contender, scenario).map { $0.packetsPerProcessorSecond / 1000 }
            }
            row(
                scenario.title,
                plan.contenders.map { Spread(values($0)).text(decimals: 0) }
                    + pairs.map { Self.ratio(values($0.ours), values($0.peer)) })
        }
    }

    private func printDelays() {
        head(
            "delay one way in microseconds, less the median without a relay, min / median / max",
            plan.contenders.map(\.name) + pairs.map(\.title) + ["without"])
        for scenario in plan.scenarios where scenario.isPaced {
            let bare = direct[scenario.name] ?? []
            let base = Spread(bare.map(\.p50)).median
            for (name, sample, without) in [
                ("p50", \Sample.p50, bare.map(\.p50)), ("p99", \Sample.p99, bare.map(\.p99)),
            ] {
                func values(_ contender: Contender) -> [Double] {
                    of(contender, scenario).map { $0[keyPath: sample] - base }
                }
                row(
                    "\(scenario.title), \(name)",
                    plan.contenders.map { Spread(values($0)).text(decimals: 1) }
                        + pairs.map { Self.ratio(values($0.ours), values($0.peer)) }
                        + [Spread(without).text(decimals: 1)])
            }
        }
    }

    private func printAllocations() {
        let contenders = plan.contenders.filter(\.isTURN)
        let pairs = pairs.filter(\.peer.isTURN)
        head(
            "\(AllocationCosts.many) allocations, min / median / max", contenders.map(\.name) + pairs.map(\.title))
        let rows: [(String, KeyPath<AllocationCosts, Double>)] = [
            ("µs of the server's processor time: a 401", \.challengeMicroseconds),
            ("µs of the server's processor time: an allocation with its 401", \.allocationMicroseconds),
            ("allocations per second, 64 on their way", \.allocationsPerSecond),
            ("bytes of an allocation, of \(AllocationCosts.few)", \.bytesOfFew),
            ("bytes of an allocation, of \(AllocationCosts.many)", \.bytesOfMany),
            ("the same with two channels each", \.bytesWithChannels),
            ("KiB of a server without allocations", \.idleKilobytes),
        ]
        for (title, value) in rows {
            func values(_ contender: Contender) -> [Double] { (costs[contender] ?? []).map { $0[keyPath: value] } }
            row(
                title,
                contenders.map { Spread(values($0)).text(decimals: 0) }
                    + pairs.map { Self.ratio(values($0.ours), values($0.peer)) })
        }
    }

    private func printFaults() {
        var lines: [String] = []
        for scenario in plan.scenarios {
            for contender in plan.contenders {
                let tallies = of(contender, scenario).map(\.tally)
                func sum(_ member: KeyPath<skerry_tally, UInt64>) -> UInt64 {
                    tallies.reduce(0) { $0 + $1[keyPath: member] }
                }
                let lost = tallies.reduce(0) { $0 + $1.lost }
                if lost != 0 || sum(\.damaged) + sum(\.late) > 0 {
                    lines.append(
                        "- \(contender.name), \(scenario.title): \(sum(\.sent)) sent, \(lost) lost, "
                            + "\(sum(\.damaged)) damaged, \(sum(\.late)) sent more than 1 ms late")
                }
            }
        }
        let sent = samples.values.joined().reduce(0) { $0 + $1.tally.sent }
        say("\n\(sent) packets sent.\(lines.isEmpty ? " None was lost, damaged or late." : "")")
        for line in lines { say(line) }
    }

    private func of(_ contender: Contender, _ scenario: Scenario) -> [Sample] {
        samples[Key(contender: contender, scenario: scenario.name)] ?? []
    }

    private static func ratio(_ ours: [Double], _ peer: [Double]) -> String {
        Spread(zip(ours, peer).map { $0 / $1 }).text(decimals: 2)
    }

    private func head(_ title: String, _ columns: [String]) {
        say("")
        row(title, columns)
        say("|" + String(repeating: "---|", count: columns.count + 1))
    }

    private func row(_ title: String, _ cells: [String]) {
        say("| \(title) | " + cells.joined(separator: " | ") + " |")
    }
}

extension AllocationCosts {
    var idleKilobytes: Double { Double(idleBytes) / 1024 }
}

extension skerry_tally {
    /// Less than none where packets of the load before came so late that they were counted here.
    var lost: Int64 { Int64(sent) - Int64(received) }
}
