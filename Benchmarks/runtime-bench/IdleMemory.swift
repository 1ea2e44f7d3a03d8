import BenchmarkSupport
import Glibc

/// What an idle connection costs the server of its own memory: anonymous pages with all connections, less those before.
struct IdleMemory {
    private let plan: Command.Plan
    private let processors: Processors
    /// Descriptors that a server has besides its connections, and then some.
    private static let reserve = 500

    init(_ plan: Command.Plan, on processors: Processors) {
        self.plan = plan
        self.processors = processors
    }

    func run(in directory: String) throws {
        let most = descriptorLimit() - Self.reserve
        let servers = (plan.connections + most - 1) / most
        say(
            """

            Idle: \(plan.connections) connections to \(servers) processes of the server, each behind a request and its \
            answer (16 KiB) or a message each way.

            | bytes of the server's memory for an idle connection | Skerry | nginx |
            |---|---|---|
            """)
        for kind in plan.heldConnections {
            let ours = plan.wants(.skerry) ? try measure(.skerry, kind, servers, directory) : nil
            let peer = plan.wants(.nginx) && !kind.isWebSocket ? try measure(.nginx, kind, servers, directory) : nil
            say("| \(kind.title) | \(ours.map { "\($0)" } ?? "-") | \(peer.map { "\($0)" } ?? "-") |")
        }
    }

    private func measure(
        _ contender: Contender, _ kind: HeldConnections.Kind, _ count: Int, _ directory: String
    ) throws -> Int {
        note("\(plan.connections) idle connections to \(contender.name): \(kind.title)")
        let servers = try (0..<count).map { _ in
            try contender.start(processor: processors.server, directory: directory)
        }
        // What the first connections of a process bring into memory is no connection's.
        for server in servers { _ = try hold(kind, 200, at: server) }
        usleep(300_000)
        let before = try servers.reduce(0) { try $0 + $1.process.anonymousBytes() }
        let share = plan.connections / count
        let holders = try servers.map {
            try HeldConnections.start($0.port(isTLS: kind.isTLS), kind, share)
        }
        for holder in holders {
            guard holder.firstLine() == "0 failed" else { throw BenchError("connections could not be opened") }
        }
        usleep(500_000)
        let after = try servers.reduce(0) { try $0 + $1.process.anonymousBytes() }
        return (after - before) / (share * count)
    }

    /// Opens connections and closes them.
    private func hold(_ kind: HeldConnections.Kind, _ count: Int, at server: RunningContender) throws -> ServerProcess {
        let holder = try HeldConnections.start(server.port(isTLS: kind.isTLS), kind, count)
        guard holder.firstLine() == "0 failed" else { throw BenchError("connections could not be opened") }
        return holder
    }
}
