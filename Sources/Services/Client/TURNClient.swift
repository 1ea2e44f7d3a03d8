package import Base
package import Runtime
import STUN

/// A TURN client over UDP (RFC 8656), on one event loop: an allocation with its permissions and channels, and data through it.
///
/// Data is sent and received without suspension; only requests wait for answers.
package actor TURNClient {
    package struct Configuration: Equatable, Sendable {
        /// Wait for an answer before the request is sent again; doubled each time (RFC 8489 section 6.2.1).
        package var initialTimeoutMs: Int64 = 250
        package var maxAttempts = 6
        package var receiveBufferBytes = 1 << 20

        package init() {}
    }

    /// What an allocation has: RFC 8656 section 7.3.
    package struct Allocation: Equatable, Sendable {
        /// Where peers send to.
        package let relayed: SocketAddress
        /// Where the server sees us.
        package let mapped: SocketAddress
        package let lifetimeSeconds: UInt32
    }

    package typealias Receiver = @Sendable (_ payload: UnsafeRawBufferPointer, _ peer: SocketAddress) -> Void

    package nonisolated let loop: EventLoop
    package nonisolated let server: SocketAddress
    let configuration: Configuration
    let credentials: RelayLogin
    let socket: UDPSocket
    var key: LongTermKey?
    var realm = ""
    var nonce: [UInt8] = []
    var pending: [TransactionID: CheckedContinuation<[UInt8], any Error>] = [:]
    var channels: [SocketAddress: UInt16] = [:]
    var peers: [UInt16: SocketAddress] = [:]
    private var receiver: Receiver?
    private var isClosed = false
    private(set) package var allocation: Allocation?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - login: what `GET /calls/ice-servers` gave.
    ///   - local: to send from; by default any address of the server's family.
    package init(
        server: SocketAddress, login: RelayLogin, loop: EventLoop, local: SocketAddress? = nil,
        configuration: Configuration = Configuration()
    ) throws {
        self.server = server
        self.loop = loop
        self.configuration = configuration
        credentials = login
        let any = SocketAddress(server.ip.family == .v4 ? .anyV4 : .anyV6, port: 0)
        do {
            socket = try UDPSocket(
                bind: local ?? any, on: loop, bufferBytes: configuration.receiveBufferBytes)
        } catch {
            throw EdgeError(.io, "no socket for the relay", side: .internal, cause: error)
        }
    }

    /// Begins to receive. Must come first.
    package func start() throws {
        do {
            try socket.start { [weak self] datagram, source, _ in
                guard let self, source == self.server else { return }
                // Read during the call alone, on the loop that the actor lives on.
                nonisolated(unsafe) let bytes = datagram
                self.assumeIsolated { $0.received(bytes) }
            }
        } catch {
            throw EdgeError(.io, "no socket for the relay", side: .internal, cause: error)
        }
    }

    /// Whom the payloads that peers send are given to, on the loop.
    package func onReceive(_ receiver: @escaping Receiver) { self.receiver = receiver }

    // MARK: - Requests

    /// Our address as the server sees it (RFC 8489 Binding).
    package func bind() async throws -> SocketAddress {
        let answer = try await exchange(request(.binding, authenticated: false) { _ in })
        guard let message = try? STUNMessage(answer.span.bytes), let mapped = message.xorAddress(.xorMappedAddress)
        else { throw Self.malformed }
        return mapped
    }

    /// Allocates a relayed transport address.
    package func allocate() async throws -> Allocation {
        let answer = try await transact(.allocate) { $0.append(.requestedTransport, leadingByte: 17) }
        guard let message = try? STUNMessage(answer.span.bytes), let relayed = message.xorAddress(.xorRelayedAddress),
            let mapped = message.xorAddress(.xorMappedAddress), let lifetime = message.number(.lifetime)
        else { throw Self.malformed }
        let made = Allocation(relayed: relayed, mapped: mapped, lifetimeSeconds: lifetime)
        allocation = made
        return made
    }

    /// Extends the allocation.
    ///
    /// - Returns: its life from now on.
    @discardableResult
    package func refresh(lifetimeSeconds: UInt32? = nil) async throws -> UInt32 {
        let answer = try await transact(.refresh) { writer in
            if let lifetimeSeconds { writer.append(.lifetime, number: lifetimeSeconds) }
        }
        guard let message = try? STUNMessage(answer.span.bytes), let lifetime = message.number(.lifetime)
        else { throw Self.malformed }
        return lifetime
    }

    /// Lets a peer's address send to us, for five minutes.
    package func createPermission(_ peer: SocketAddress) async throws {
        _ = try await transact(.createPermission) { $0.append(.xorPeerAddress, xorAddress: peer) }
    }

    /// Binds a channel to a peer, or refreshes it: ten minutes, and five for the permission that comes with it.
    package func bindChannel(to peer: SocketAddress) async throws {
        let channel = channels[peer] ?? ChannelData.channelNumbers.lowerBound + UInt16(channels.count)
        guard ChannelData.channelNumbers.contains(channel) else {
            throw EdgeError(.exhausted, "a client has at most \(ChannelData.channelNumbers.count) channels")
        }
        _ = try await transact(.channelBind) {
            $0.append(channelNumber: channel)
            $0.append(.xorPeerAddress, xorAddress: peer)
        }
        channels[peer] = channel
        peers[channel] = peer
    }

    /// Gives the allocation back, and closes the socket.
    package func close() async {
        guard !isClosed else { return }
        if allocation != nil {
            // A relay that is gone keeps nobody waiting.
            _ = try? await transact(.refresh, maxAttempts: 2) { $0.append(.lifetime, number: 0) }
        }
        isClosed = true
        allocation = nil
        receiver = nil
        socket.close()
        let waiting = pending.values
        pending = [:]
        for continuation in waiting { continuation.resume(throwing: Self.closed) }
    }

    // MARK: - Data

    /// Sends through the relay: in ChannelData where a channel is bound to the peer, else in a Send indication.
    ///
    /// - Returns: false when the kernel did not take it.
    @discardableResult
    package func send(_ payload: [UInt8], to peer: SocketAddress) -> Bool {
        precondition(payload.count <= 1400, "larger than what fits the path")
        return withUnsafeTemporaryAllocation(byteCount: payload.count + 64, alignment: 8) { buffer in
            let count: Int
            if let channel = channels[peer] {
                ChannelData.writeHeader(channel: channel, payloadCount: payload.count, into: buffer)
                UnsafeMutableRawBufferPointer(rebasing: buffer[ChannelData.headerByteCount...]).copyBytes(from: payload)
                count = ChannelData.headerByteCount + payload.count
            } else {
                var writer = STUNWriter(
                    into: buffer, type: STUNMessageType(.send, .indication), transactionID: .random())
                writer.append(.xorPeerAddress, xorAddress: peer)
                writer.append(.data, bytes: payload)
                count = writer.finish()
            }
            return socket.send(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: server)
        }
    }

    private func received(_ datagram: UnsafeMutableRawBufferPointer) {
        let bytes = datagram.bytes
        if let header = ChannelData.read(bytes) {
            if let peer = peers[header.channel] {
                receiver?(UnsafeRawBufferPointer(rebasing: datagram[header.payload]), peer)
            }
            return
        }
        guard let message = try? STUNMessage(bytes) else { return }
        switch message.type.messageClass {
        case .success, .error:
            pending.removeValue(forKey: message.transactionID)?.resume(returning: Array(datagram))
        case .indication where message.type.method == .data:
            guard let peer = message.xorAddress(.xorPeerAddress), let data = message.attribute(.data) else { return }
            receiver?(UnsafeRawBufferPointer(rebasing: datagram[data.range]), peer)
        case .indication, .request:
            return
        }
    }

    static let malformed = EdgeError(.corrupt, "the relay's answer lacks what it must have", side: .upstream)
    static let closed = EdgeError(.closed, "the relay client is closed", side: .internal)
}
