import BenchmarkSupport
import CLoadGenerator
import Glibc

/// Clients with an allocation each, two peers of each, and a channel to each peer; or, without a server, sockets that are
/// connected to each other.
final class Flows {
    private(set) var native: [skerry_flow] = []
    private var clients: TURNClients?
    private var sockets: [Int32] = []
    private static let channels: (UInt16, UInt16) = (0x4000, 0x4001)

    init(_ count: Int, through server: RunningContender, isTURN: Bool) throws {
        let peers = try (0..<count * 2).map { _ in try socket() }
        let ports = peers.map { skerry_udp_port($0) }
        if isTURN {
            let clients = try TURNClients(count, of: server)
            self.clients = clients
            try clients.allocate(count)
            try clients.bind(Self.channels.0, to: (0..<count).map { ports[$0 * 2] })
            try clients.bind(Self.channels.1, to: (0..<count).map { ports[$0 * 2 + 1] })
            for (index, client) in clients.native.enumerated() {
                try add(client.socket, client.relayed_port, (peers[index * 2], peers[index * 2 + 1]))
            }
        } else {
            for index in 0..<count {
                let client = try connectedSocket(to: server.port)
                sockets.append(client)
                let relayed = skerry_minimal_relay_join(client, [ports[index * 2], ports[index * 2 + 1]])
                guard relayed != 0 else { throw BenchError("the minimal relay does not answer") }
                try add(client, relayed, (peers[index * 2], peers[index * 2 + 1]))
            }
        }
    }

    private func add(_ client: Int32, _ relayedPort: UInt16, _ peers: (Int32, Int32)) throws {
        for peer in [peers.0, peers.1] where skerry_udp_connect(peer, relayedPort) != 0 {
            throw BenchError("a socket cannot be connected")
        }
        native.append(skerry_flow(client: client, peers: peers, channels: Self.channels))
    }

    /// What the system costs without any relay.
    init(direct count: Int) throws {
        for _ in 0..<count {
            let (client, peer) = (try socket(), try socket())
            guard skerry_udp_connect(client, skerry_udp_port(peer)) == 0,
                skerry_udp_connect(peer, skerry_udp_port(client)) == 0
            else { throw BenchError("a socket cannot be connected") }
            native.append(skerry_flow(client: client, peers: (peer, peer), channels: (0, 0)))
        }
    }

    deinit { for socket in sockets { close(socket) } }

    private func socket() throws -> Int32 {
        let socket = skerry_udp_bind(1 << 20)
        guard socket >= 0 else { throw BenchError("no socket") }
        sockets.append(socket)
        return socket
    }
}
