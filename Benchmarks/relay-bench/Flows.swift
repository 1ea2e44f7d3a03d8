import Base
import CLoadGenerator
import TURNTesting

/// Clients with an allocation and a channel each, and their peers; or, without a server, pairs of sockets.
final class Flows {
    let native: [skerry_flow]
    private let clients: [BlockingTURNClient]
    private let sockets: [LoopbackSocket]
    private static let bufferBytes: Int32 = 1 << 20

    init(_ count: Int, through server: SocketAddress, username: String, password: String) throws {
        var clients: [BlockingTURNClient] = []
        var peers: [LoopbackSocket] = []
        native = try (0..<count).map { _ in
            let client = try BlockingTURNClient(
                server: server, username: username, password: password, bufferBytes: Self.bufferBytes)
            let peer = try LoopbackSocket(bufferBytes: Self.bufferBytes)
            let channel: UInt16 = 0x4000
            let relayed = try client.allocate()
            try client.bindChannel(channel, to: peer.localAddress)
            try peer.connect(to: relayed)
            clients.append(client)
            peers.append(peer)
            return skerry_flow(client: client.socket.descriptor, peer: peer.descriptor, channel: channel)
        }
        self.clients = clients
        sockets = peers
    }

    /// What the system costs without any relay.
    init(direct count: Int) throws {
        var sockets: [LoopbackSocket] = []
        native = try (0..<count).map { _ in
            let (client, peer) = (try LoopbackSocket(), try LoopbackSocket())
            try client.connect(to: peer.localAddress)
            try peer.connect(to: client.localAddress)
            sockets += [client, peer]
            return skerry_flow(client: client.descriptor, peer: peer.descriptor, channel: 0)
        }
        clients = []
        self.sockets = sockets
    }
}
