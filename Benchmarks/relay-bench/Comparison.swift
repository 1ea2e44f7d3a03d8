import Base
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

    mutating func run() throws {
        try withTemporaryDirectory("relay-bench") { try run(in: $0) }
    }

    private mutating func run(in directory: String) throws {
        report.titles = try plan.servers.map { try $0.title }
        let deadline = ContinuousClock.now + .seconds(plan.patienceSeconds)
        while report.roundCount < plan.rounds {
            try waitForQuiet(until: deadline)
            report.beginRound()
            // Who comes first changes, so that a drift of the machine does not favour one.
            let servers = report.roundCount % 2 == 1 ? plan.servers : plan.servers.reversed()
            for server in servers { try measure(server, directory) }
            if plan.loads.contains(where: \.isPaced) { try measureDirect() }
            if report.isDisturbed, ContinuousClock.now < deadline { report.discardRound() }
        }
        report.print()
    }

    /// Returns when nothing else has run for half a second, or at the deadline.
    private func waitForQuiet(until deadline: ContinuousClock.Instant) throws {
        while ContinuousClock.now < deadline {
            let before = ProcessorTime.now()
            usleep(500_000)
            if ProcessorTime.now().all - before.all <= 20_000_000 { return }
        }
    }

    private mutating func measure(_ server: Server, _ directory: String) throws {
        let running = try server.start(processor: processors.server, directory: directory)
        let flows = try Flows(
            Load.maxFlowCount, through: running.address, username: running.username, password: running.password)
        for load in plan.loads {
            note("round \(report.roundCount)/\(plan.rounds)  \(server.rawValue): \(load.title)")
            _ = load.run(flows.native, seconds: 0.1)
            let machineBefore = ProcessorTime.now()
            let before = try running.process.processorNanoseconds()
            let clock = ContinuousClock.now
            let outcome = load.run(
                flows.native, seconds: load.isPaced ? plan.secondsPerLoad * 1.5 : plan.secondsPerLoad)
            let elapsed = ContinuousClock.now - clock
            let spent = try running.process.processorNanoseconds() - before
            report.addMachine(from: machineBefore, to: .now(), serverNs: spent, elapsedNs: elapsed.nanoseconds)
            report.add(server, load, Report.Sample(outcome, elapsedNs: elapsed.nanoseconds, processorNs: spent))
        }
    }

    private mutating func measureDirect() throws {
        for load in plan.loads where load.isPaced {
            let flows = try Flows(direct: load.flowCount)
            report.addDirect(load.run(flows.native, seconds: 0.5).delays)
        }
    }
}
