import Base
import RelayEngine
import Runtime
import Synchronization

/// One log record for each allocation that is opened, and one with the totals when it ends: who used the relay, and how much.
///
/// At most so many records a second for the node; what goes beyond is counted, and told in one record when there is room again.
final class RelayAudit: Sendable {
    private struct State {
        var second: UInt64 = 0
        var records = 0
        var dropped = 0
    }

    private let logger: Logger
    private let maxRecordsPerSecond: Int
    private let droppedRecords: Counter
    private let state = Mutex(State())

    init(maxRecordsPerSecond: Int, logger: Logger, metrics: MetricsRegistry) {
        self.maxRecordsPerSecond = maxRecordsPerSecond
        self.logger = logger
        droppedRecords = metrics.counter(
            "skerry_relay_audit_dropped_total", "Audit records that were left out, beyond the rate")
    }

    func opened(
        _ name: RelaySession.Name, _ pending: PendingAllocation, relayed: [SocketAddress], now: MonotonicInstant
    ) {
        write(
            "allocation opened", now: now,
            metadata: [
                "session": "\(name)", "tenant": "\(pending.user.tenant)", "user": pending.user.user,
                "client": "\(pending.tuple.client)", "transport": "\(pending.tuple.transport)",
                "relayed": Self.text(relayed),
            ])
    }

    func closed(
        _ name: RelaySession.Name, _ closed: RelayEngine.Closed, relayed: [SocketAddress], now: MonotonicInstant
    ) {
        write(
            "allocation closed", now: now,
            metadata: [
                "session": "\(name)", "tenant": "\(closed.user.tenant)", "user": closed.user.user,
                "client": "\(closed.tuple.client)", "transport": "\(closed.tuple.transport)",
                "relayed": Self.text(relayed), "reason": "\(closed.reason)",
                "seconds": "\(closed.age.components.seconds)", "packets_to_peers": "\(closed.traffic.packetsToPeers)",
                "bytes_to_peers": "\(closed.traffic.bytesToPeers)",
                "packets_to_client": "\(closed.traffic.packetsToClient)",
                "bytes_to_client": "\(closed.traffic.bytesToClient)",
            ])
    }

    private static func text(_ addresses: [SocketAddress]) -> String {
        addresses.map(\.description).joined(separator: " ")
    }

    func write(
        _ message: String, now: MonotonicInstant,
        metadata: @autoclosure () -> KeyValuePairs<String, String> = [:]
    ) {
        if admits(now) { logger.info(message, metadata: metadata()) }
    }

    /// Whether there is room for another record.
    private func admits(_ now: MonotonicInstant) -> Bool {
        guard maxRecordsPerSecond > 0 else { return false }
        let (admits, missed) = state.withLock { state -> (Bool, Int) in
            let second = now.nanoseconds / 1_000_000_000
            if state.second != second { (state.second, state.records) = (second, 0) }
            guard state.records < maxRecordsPerSecond else {
                state.dropped += 1
                return (false, 0)
            }
            state.records += 1
            defer { state.dropped = 0 }
            return (true, state.dropped)
        }
        if !admits { droppedRecords.increment() }
        if missed > 0 { logger.warning("audit records were left out", metadata: ["count": "\(missed)"]) }
        return admits
    }
}
