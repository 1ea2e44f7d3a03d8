import Base
import RelayEngine
import Runtime
import STUN

/// The relay's metrics. Every label's values are listed here: traffic adds none.
struct RelayMetrics: Sendable {
    private let allocations: Gauge
    private let opened: Counter
    private let closed: Counter
    private let bindings: Counter
    private let packets: [Counter]
    private let bytes: [Counter]
    private let drops: [Counter]
    private let socketDrops: [Counter]
    private let overflows: Counter
    private let unreachable: [Counter]
    private let errors: [Counter]

    init(_ registry: MetricsRegistry) {
        allocations = registry.gauge("skerry_relay_allocations", "Live allocations")
        opened = registry.counter("skerry_relay_allocations_opened_total", "Allocations made")
        closed = registry.counter("skerry_relay_allocations_closed_total", "Allocations that ended")
        bindings = registry.counter("skerry_relay_bindings_total", "Binding requests answered")
        packets = ["to_peer", "to_client"].map {
            registry.counter("skerry_relay_packets_total", "Datagrams relayed", labels: ["direction": $0])
        }
        bytes = ["to_peer", "to_client"].map {
            registry.counter("skerry_relay_bytes_total", "Application bytes relayed", labels: ["direction": $0])
        }
        drops = RelayDropReason.allCases.map {
            registry.counter("skerry_relay_drops_total", "Datagrams dropped", labels: ["reason": $0.label])
        }
        socketDrops = DatagramDrop.allCases.map {
            registry.counter("skerry_relay_drops_total", "Datagrams dropped", labels: ["reason": "socket_\($0.label)"])
        }
        overflows = registry.counter(
            "skerry_relay_drops_total", "Datagrams dropped", labels: ["reason": "receive_overflow"])
        unreachable = Side.allCases.map {
            registry.counter(
                "skerry_relay_network_errors_total", "What the network said about datagrams that were sent",
                labels: ["to": "\($0)"])
        }
        errors = RelayStatistics.errorCodes.map {
            registry.counter("skerry_relay_errors_total", "Error answers", labels: ["code": "\($0.rawValue)"])
        }
    }

    enum Side: Int, CaseIterable { case clients, peers }

    /// The network has said something about a datagram to one of that side.
    func unreachable(_ side: Side) { unreachable[side.rawValue].increment() }

    func dropped(_ count: UInt64, _ reason: DatagramDrop) {
        if count > 0 { socketDrops[reason.rawValue].increment(by: count) }
    }

    /// Datagrams that came while a socket's queue was full.
    func overflowed(_ count: UInt64) {
        if count > 0 { overflows.increment(by: count) }
    }

    /// Adds what a loop has counted since it last came.
    func add(_ new: RelayStatistics, since old: RelayStatistics) {
        opened.increment(by: new.allocationsOpened - old.allocationsOpened)
        closed.increment(by: new.allocationsClosed - old.allocationsClosed)
        allocations.add(
            Int64(new.allocationsOpened - old.allocationsOpened) - Int64(new.allocationsClosed - old.allocationsClosed))
        bindings.increment(by: new.bindings - old.bindings)
        packets[0].increment(by: new.traffic.packetsToPeers - old.traffic.packetsToPeers)
        packets[1].increment(by: new.traffic.packetsToClient - old.traffic.packetsToClient)
        bytes[0].increment(by: new.traffic.bytesToPeers - old.traffic.bytesToPeers)
        bytes[1].increment(by: new.traffic.bytesToClient - old.traffic.bytesToClient)
        for index in drops.indices { drops[index].increment(by: new.drops[index] - old.drops[index]) }
        for index in errors.indices { errors[index].increment(by: new.errors[index] - old.errors[index]) }
    }
}
