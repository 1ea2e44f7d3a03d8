import Base
import RelayEngine
import Runtime
import STUN

/// The relay's metrics. Every label's values are listed here: traffic adds none.
struct RelayMetrics: Sendable {
    /// What is counted for each transport of clients.
    private struct PerTransport: Sendable {
        let opened: Counter
        let bindings: Counter
        /// To peers, to clients.
        let packets: [Counter]
        let bytes: [Counter]
        /// By the place of the code in `RelayStatistics.errorCodes`.
        let errors: [Counter]

        init(_ transport: FiveTuple.Transport, _ registry: MetricsRegistry) {
            let name = "\(transport)"
            opened = registry.counter(
                "skerry_relay_allocations_opened_total", "Allocations made", labels: ["transport": name])
            bindings = registry.counter(
                "skerry_relay_bindings_total", "Binding requests answered", labels: ["transport": name])
            packets = ["to_peer", "to_client"].map {
                registry.counter(
                    "skerry_relay_packets_total", "Datagrams relayed", labels: ["direction": $0, "transport": name])
            }
            bytes = ["to_peer", "to_client"].map {
                registry.counter(
                    "skerry_relay_bytes_total", "Application bytes relayed",
                    labels: ["direction": $0, "transport": name])
            }
            errors = RelayStatistics.errorCodes.map {
                registry.counter(
                    "skerry_relay_errors_total", "Error answers", labels: ["code": "\($0.rawValue)", "transport": name])
            }
        }

        func add(_ new: RelayStatistics, since old: RelayStatistics, _ index: Int) {
            opened.increment(by: new.allocationsOpened[index] - old.allocationsOpened[index])
            bindings.increment(by: new.bindings[index] - old.bindings[index])
            let (traffic, former) = (new.traffic[index], old.traffic[index])
            packets[0].increment(by: traffic.packetsToPeers - former.packetsToPeers)
            packets[1].increment(by: traffic.packetsToClient - former.packetsToClient)
            bytes[0].increment(by: traffic.bytesToPeers - former.bytesToPeers)
            bytes[1].increment(by: traffic.bytesToClient - former.bytesToClient)
            for code in errors.indices {
                let place = index * errors.count + code
                errors[code].increment(by: new.errors[place] - old.errors[place])
            }
        }
    }

    private let allocations: Gauge
    private let transports: [PerTransport]
    private let closed: [Counter]
    private let moves: Counter
    private let drops: [Counter]
    private let socketDrops: [Counter]
    private let overflows: Counter
    private let unreachable: [Counter]
    private let connections: [Gauge]
    private let connectionsOpened: [Counter]
    private let connectionsRefused: [Counter]

    init(_ registry: MetricsRegistry) {
        allocations = registry.gauge("skerry_relay_allocations", "Live allocations")
        transports = FiveTuple.Transport.allCases.map { PerTransport($0, registry) }
        closed = RelayEngine.EndReason.allCases.map {
            registry.counter(
                "skerry_relay_allocations_closed_total", "Allocations that ended", labels: ["reason": "\($0)"])
        }
        moves = registry.counter(
            "skerry_relay_allocations_moved_total", "Allocations whose client came from another address (RFC 8016)")
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
        let names = Self.connected
        connections = names.map {
            registry.gauge("skerry_relay_connections", "Connections of clients", labels: ["transport": "\($0)"])
        }
        connectionsOpened = names.map {
            registry.counter(
                "skerry_relay_connections_opened_total", "Connections of clients that began",
                labels: ["transport": "\($0)"])
        }
        connectionsRefused = names.map {
            registry.counter(
                "skerry_relay_connections_refused_total", "Connections closed because there were too many",
                labels: ["transport": "\($0)"])
        }
    }

    /// Where clients have connections.
    private static let connected: [FiveTuple.Transport] = [.tcp, .tls, .dtls]

    enum Side: Int, CaseIterable { case clients, peers }

    /// The network has said something about a datagram to one of that side.
    func unreachable(_ side: Side) { unreachable[side.rawValue].increment() }

    func dropped(_ count: UInt64, _ reason: DatagramDrop) {
        if count > 0 { socketDrops[reason.rawValue].increment(by: count) }
    }

    /// A client's connection has begun: over DTLS with the end of its handshake, else with its first byte.
    func openedConnection(_ transport: FiveTuple.Transport) {
        guard let index = Self.connected.firstIndex(of: transport) else { return }
        connections[index].add(1)
        connectionsOpened[index].increment()
    }

    func closedConnection(_ transport: FiveTuple.Transport) {
        if let index = Self.connected.firstIndex(of: transport) { connections[index].add(-1) }
    }

    func refusedConnection(_ transport: FiveTuple.Transport) {
        if let index = Self.connected.firstIndex(of: transport) { connectionsRefused[index].increment() }
    }

    /// Datagrams that came while a socket's queue was full.
    func overflowed(_ count: UInt64) {
        if count > 0 { overflows.increment(by: count) }
    }

    /// Adds what a loop has counted since it last came.
    func add(_ new: RelayStatistics, since old: RelayStatistics) {
        for index in transports.indices {
            transports[index].add(new, since: old, index)
            allocations.add(Int64(new.allocationsOpened[index] - old.allocationsOpened[index]))
        }
        for index in closed.indices {
            let count = new.allocationsClosed[index] - old.allocationsClosed[index]
            closed[index].increment(by: count)
            allocations.add(-Int64(count))
        }
        moves.increment(by: new.moves - old.moves)
        for index in drops.indices { drops[index].increment(by: new.drops[index] - old.drops[index]) }
    }
}
