import Base
import RelayEngine
import Runtime

/// Clients over DTLS (RFC 7350) at one of a loop's listeners: each record is one message.
///
/// `@unchecked Sendable`: used on the loop's thread alone.
final class RelayDTLSFront: DTLSServerHandler, @unchecked Sendable {
    private let socket: UDPSocket
    private let listener: UInt8
    private let relayLoop: RelayLoop
    private let context: DTLSContext
    private let limits: StreamLimits
    private let maxAssociations: Int
    private var server: DTLSServer?
    private var watches: [SocketAddress: ClientWatch] = [:]

    init(
        _ socket: UDPSocket, listener: UInt8, on relayLoop: RelayLoop, context: DTLSContext, maxAssociations: Int
    ) {
        self.socket = socket
        self.listener = listener
        self.relayLoop = relayLoop
        self.context = context
        limits = relayLoop.shared.streamLimits
        self.maxAssociations = maxAssociations
    }

    /// Keeps itself and the relay's loop until `close`.
    func start() throws {
        var configuration = DTLSServer.Configuration()
        configuration.maxAssociations = maxAssociations
        configuration.handshakeTimeoutMs = Int(limits.handshakeTimeoutMs)
        // Until its allocation ends a client may be silent, but for its Refresh requests.
        configuration.idleTimeoutMs = limits.idleTimeoutMs
        let server = DTLSServer(context, on: relayLoop.loop, configuration: configuration, handler: self) {
            [socket] datagram, client, local in
            socket.send(datagram, to: client, from: local)
        }
        self.server = server
        try socket.start(onError: { [relayLoop] _ in relayLoop.shared.metrics.unreachable(.clients) }) {
            datagram, client, local in
            server.receive(UnsafeRawBufferPointer(datagram), from: client, at: local)
        }
    }

    /// Shows another certificate from here on.
    func replace(_ context: DTLSContext) { server?.replace(context) }

    func close() {
        server?.close()
        server = nil
        socket.close()
    }

    func isConnected(_ client: SocketAddress) -> Bool { server?[client] != nil }

    func send(_ message: UnsafeRawBufferPointer, to client: SocketAddress) { server?[client]?.send(message) }

    // MARK: - What the server tells

    func admitsHandshake(from address: SocketAddress) -> Bool {
        relayLoop.engine.admitsStranger(address.ip, now: relayLoop.loop.now)
    }

    func associationOpened(_ association: DTLSAssociation) {
        relayLoop.shared.metrics.openedConnection(.dtls)
        watches[association.remoteAddress] = ClientWatch(
            tuple(association), on: relayLoop, handshakePatience: nil,
            patience: .milliseconds(limits.unauthenticatedTimeoutMs)
        ) { association.close() }
    }

    func association(_ association: DTLSAssociation, received record: UnsafeMutableRawBufferPointer) {
        guard let watch = watches[association.remoteAddress] else { return }
        relayLoop.receive(record, from: watch.tuple)
        _ = watch.heard()
    }

    func associationClosed(_ association: DTLSAssociation) {
        relayLoop.shared.metrics.closedConnection(.dtls)
        watches.removeValue(forKey: association.remoteAddress)?.cancel()
        relayLoop.clientGone(tuple(association))
    }

    private func tuple(_ association: DTLSAssociation) -> FiveTuple {
        let local = association.localAddress ?? socket.localAddress.ip
        return FiveTuple(
            client: association.remoteAddress, server: SocketAddress(local, port: socket.localAddress.port),
            transport: .dtls, listener: listener,
            realm: relayLoop.realmChoice.realm(
                of: .dtls, listener: listener, serverName: association.requestedServerName))
    }
}
