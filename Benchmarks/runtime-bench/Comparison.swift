import BenchmarkSupport

/// The rounds of a comparison, and what they found.
struct Comparison {
    private let plan: Command.Plan
    private let processors: Processors
    private var report: Report

    init(_ plan: Command.Plan, on processors: Processors) {
        self.plan = plan
        self.processors = processors
        report = Report(plan, processors)
    }

    mutating func run(in directory: String, with generator: Generator) throws {
        for contender in contenders { try report.describe(contender) }
        for round in 1...plan.rounds { try run(round, directory, generator) }
        report.print()
    }

    /// Those whom the scenarios need, each once.
    private var contenders: [Contender] {
        plan.scenarios.flatMap { [$0.ours, $0.peer] }.reduce(into: []) { all, contender in
            if !all.contains(contender), plan.wants(contender) { all.append(contender) }
        }
    }

    private mutating func run(_ round: Int, _ directory: String, _ generator: Generator) throws {
        var running: [Contender: RunningContender] = [:]
        for contender in contenders {
            running[contender] = try contender.start(processor: processors.server, directory: directory)
        }
        for (index, scenario) in plan.scenarios.enumerated() {
            // Who comes first changes, so that a drift of the machine does not favour one.
            let order = (round + index) % 2 == 1 ? [scenario.ours, scenario.peer] : [scenario.peer, scenario.ours]
            for contender in order {
                guard let server = running[contender] else { continue }
                let machine = ProcessorTime.now()
                let before = try server.process.processorNanoseconds()
                let outcome = try generator.run(scenario.load, on: server, seconds: plan.secondsPerScenario)
                let spent = try server.process.processorNanoseconds() - before
                report.add(contender, scenario, outcome, processorNs: spent, from: machine, to: .now())
                note(
                    "round \(round)/\(plan.rounds)  \(scenario.name.padded(to: 18))\(contender.name.padded(to: 12))"
                        + report.latest)
            }
        }
    }
}
