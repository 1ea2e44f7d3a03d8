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

    mutating func run() throws {
        _ = descriptorLimit()
        try withTemporaryDirectory("runtime-bench") { directory in
            try Fixtures.make(in: directory)
            report.titles = try plan.contenders.map { try $0.title }
            let generator = try Generator(directory: directory)
            for round in 1...plan.rounds { try run(round, directory, generator) }
        }
        report.print()
    }

    private mutating func run(_ round: Int, _ directory: String, _ generator: Generator) throws {
        let running = try plan.contenders.map {
            ($0, try $0.start(processor: processors.server, directory: directory))
        }
        for (index, scenario) in plan.scenarios.enumerated() {
            // Who comes first changes, so that a drift of the machine does not favour one.
            let order = (round + index) % 2 == 1 ? running : running.reversed()
            for (contender, server) in order {
                let machine = ProcessorTime.now()
                let before = try server.process.processorNanoseconds()
                let outcome = try generator.run(scenario.load, on: server, seconds: plan.secondsPerScenario)
                let spent = try server.process.processorNanoseconds() - before
                report.add(contender, scenario, outcome, processorNs: spent, from: machine, to: .now())
                note(
                    "round \(round)/\(plan.rounds)  \(contender.rawValue.padded(to: 8))\(scenario.name.padded(to: 12))"
                        + report.latest)
            }
        }
    }
}
