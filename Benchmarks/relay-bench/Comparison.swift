import BenchmarkSupport
import Glibc

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

    mutating func run(in directory: String) throws {
        for contender in plan.contenders { try report.describe(contender) }
        for round in 1...plan.rounds {
            for allocations in Scenario.allocationCounts { try run(round, allocations, directory) }
            if plan.includesAllocations { try measureAllocations(round, directory) }
        }
        report.print()
    }

    /// Who comes first changes, so that a drift of the machine does not favour one.
    private func order(_ turn: Int) -> [Contender] {
        let shift = turn % max(1, plan.contenders.count)
        return Array(plan.contenders[shift...] + plan.contenders[..<shift])
    }

    /// The scenarios with so many allocations: all servers stand ready, and take turns scenario by scenario.
    private mutating func run(_ round: Int, _ allocations: Int, _ directory: String) throws {
        let scenarios = plan.scenarios.filter { $0.allocations == allocations }
        guard !scenarios.isEmpty else { return }
        var running: [Contender: (server: RunningContender, flows: Flows)] = [:]
        for contender in plan.contenders {
            let server = try contender.start(processor: processors.server, directory: directory)
            running[contender] = (server, try Flows(allocations, through: server, isTURN: contender.isTURN))
        }
        for (index, scenario) in scenarios.enumerated() {
            for contender in order(round + index) {
                guard let (server, flows) = running[contender] else { continue }
                _ = scenario.run(flows.native, seconds: 0.05)
                let machine = ProcessorTime.now()
                let before = try server.process.processorNanoseconds()
                let seconds = plan.secondsPerScenario * (scenario.isPaced ? 2 : 1)
                let outcome = scenario.run(flows.native, seconds: seconds)
                let spent = try server.process.processorNanoseconds() - before
                report.add(contender, scenario, outcome, processorNs: spent, from: machine, to: .now())
                note("round \(round)/\(plan.rounds)  \(contender.name)  \(scenario.name): \(report.latest)")
            }
            if scenario.isPaced {
                let direct = try Flows(direct: min(allocations, 100))
                report.addDirect(scenario, scenario.run(direct.native, seconds: 0.5).delays)
            }
        }
    }

    private mutating func measureAllocations(_ round: Int, _ directory: String) throws {
        for contender in order(round) where contender.isTURN {
            let machine = ProcessorTime.now()
            let server = try contender.start(processor: processors.server, directory: directory)
            let costs = try AllocationCosts(of: server)
            report.add(contender, costs, from: machine, to: .now())
            note("round \(round)/\(plan.rounds)  \(contender.name)  \(Command.Plan.allocations): \(report.latest)")
        }
    }
}
