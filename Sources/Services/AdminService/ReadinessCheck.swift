import Synchronization

/// One thing that has to be in order before work is sent to this process.
package struct ReadinessCheck: Sendable {
    let name: String
    let reason: @Sendable () async -> String?

    /// - Parameter reason: why it is not in order; nil when it is. Answers soon: it is asked for every few seconds.
    package init(_ name: String, reason: @escaping @Sendable () async -> String?) {
        self.name = name
        self.reason = reason
    }
}

/// Whether the process is ready, and why not.
final class ProcessReadiness: Sendable {
    private let checks: [ReadinessCheck]
    private let isDraining = Atomic<Bool>(false)

    init(checks: [ReadinessCheck]) { self.checks = checks }

    func beginDrain() { isDraining.store(true, ordering: .releasing) }

    func reasons() async -> [(check: String, reason: String)] {
        if isDraining.load(ordering: .acquiring) { return [("process", "shutting down")] }
        var reasons: [(String, String)] = []
        for check in checks {
            if let reason = await check.reason() { reasons.append((check.name, reason)) }
        }
        return reasons
    }
}
