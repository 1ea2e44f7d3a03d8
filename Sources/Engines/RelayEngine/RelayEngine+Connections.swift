public import Base
import STUN

/// A Connect request that was found good: the service connects to the peer, then calls `completeConnection`.
public struct PendingConnection: Sendable {
    public let allocation: AllocationID
    /// As clients know it.
    public let peer: SocketAddress
    /// Where it is reached from here.
    public let destination: SocketAddress
    /// Who may bind the connection.
    public let username: String
    public var tuple: FiveTuple { answer.tuple }
    let answer: PostponedAnswer
}

/// A ConnectionBind request that was found good, as far as can be told here: the service looks for the connection, wherever it is, then
/// calls `completeBinding`.
public struct PendingBinding: Sendable {
    public let connectionID: UInt32
    /// Must be the username of the connection's allocation.
    public let username: String
    public var tuple: FiveTuple { answer.tuple }
    let answer: PostponedAnswer
}

/// TCP allocations (RFC 6062). A connection is known by its peer, of which an allocation has at most one; the service gives it the
/// CONNECTION-ID and the bytes never come here.
extension RelayEngine {
    /// How long a peer may take to answer (RFC 6062 section 5.2), and a client to bind a connection (sections 5.2 and 5.3).
    public static let connectionTimeout = Duration.seconds(30)

    // MARK: Connect

    mutating func connect(
        _ message: borrowing STUNMessage, _ answer: Answer, _ id: AllocationID
    ) -> RequestOutcome {
        guard allocations[id].transport == .tcp else { return fail(.badRequest, answer) }
        let named = message.xorAddress(.xorPeerAddress)
        let refusal = policy.refusal(of: named, for: .connection, over: .tcp) { allocations[id].livePorts[$0] != nil }
        if let refusal { return fail(refusal, answer) }
        guard let peer = named else { return fail(.badRequest, answer) }
        guard !allocations[id].connectedPeers.contains(peer) else { return fail(.connectionAlreadyExists, answer) }
        guard allocations[id].connectedPeers.count < configuration.maxConnectionsPerAllocation else {
            return fail(.insufficientCapacity, answer)
        }
        allocations[id].connectedPeers.append(peer)
        return .connect(
            PendingConnection(
                allocation: id, peer: peer, destination: policy.local(peer),
                username: allocations[id].identity.username, answer: answer.postponed))
    }

    /// Answers a Connect request.
    ///
    /// - Parameter connectionID: of the connection that stands; nil when there is none.
    /// - Returns: how many bytes of the output to send to the client; nil when its allocation has ended meanwhile.
    public mutating func completeConnection(
        _ pending: PendingConnection, connectionID: UInt32?, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard allocations.contains(pending.allocation) else { return nil }
        let answer = Answer(pending.answer, output: output)
        guard let connectionID else {
            forgetConnection(pending.allocation, pending.peer)
            statistics.error(.connectionTimeoutOrFailure, over: pending.tuple.transport)
            return answer.refuse(.connectionTimeoutOrFailure)
        }
        return answer.succeed { $0.append(.connectionID, number: connectionID) }
    }

    // MARK: Connections of peers

    /// Decides about a connection that a peer has made to the relayed transport address (RFC 6062 section 5.3).
    ///
    /// - Returns: the peer as clients know it, and who may bind the connection; nil when it is to be closed.
    public mutating func acceptConnection(
        _ id: AllocationID, from peer: SocketAddress, now: MonotonicInstant
    ) -> (peer: SocketAddress, username: String)? {
        let peer = policy.published(peer)
        guard allocations.contains(id), allocations[id].expiresAt > now,
            let permission = allocations[id].permission(for: peer.ip, now: now),
            !permission.byPort || policy.permitsOwn(peer, over: .tcp)
        else {
            statistics.drop(.noPermission)
            return nil
        }
        guard !allocations[id].connectedPeers.contains(peer),
            allocations[id].connectedPeers.count < configuration.maxConnectionsPerAllocation
        else {
            statistics.drop(.tooManyConnections)
            return nil
        }
        allocations[id].connectedPeers.append(peer)
        return (peer, allocations[id].identity.username)
    }

    /// Writes the ConnectionAttempt indication for a connection that was accepted.
    ///
    /// - Returns: how many bytes of the output to send, and to whom.
    public mutating func announceConnection(
        _ id: AllocationID, from peer: SocketAddress, connectionID: UInt32, into output: UnsafeMutableRawBufferPointer
    ) -> (count: Int, tuple: FiveTuple) {
        var writer = STUNWriter(
            into: output, type: STUNMessageType(.connectionAttempt, .indication), transactionID: nextIndication())
        writer.append(.connectionID, number: connectionID)
        writer.append(.xorPeerAddress, xorAddress: peer)
        return (writer.finish(integrity: nil, fingerprint: false), allocations[id].tuple)
    }

    /// A connection that was accepted or completed has ended.
    public mutating func connectionEnded(
        _ id: AllocationID, with peer: SocketAddress, bytesToPeer: UInt64, bytesToClient: UInt64
    ) {
        let transport = allocations.contains(id) ? allocations[id].tuple.transport : .tcp
        statistics.traffic[Int(transport.rawValue)].bytesToPeers += bytesToPeer
        statistics.traffic[Int(transport.rawValue)].bytesToClient += bytesToClient
        guard allocations.contains(id) else { return }
        allocations[id].traffic.bytesToPeers += bytesToPeer
        allocations[id].traffic.bytesToClient += bytesToClient
        forgetConnection(id, peer)
    }

    private mutating func forgetConnection(_ id: AllocationID, _ peer: SocketAddress) {
        if let index = allocations[id].connectedPeers.firstIndex(of: peer) {
            allocations[id].connectedPeers.remove(at: index)
        }
    }

    // MARK: ConnectionBind

    /// A ConnectionBind request, over a connection that has no allocation of its own (RFC 6062 section 5.4).
    mutating func bindConnection(
        _ message: borrowing STUNMessage, _ answer: Answer, _ identity: Identity, _ id: AllocationID?
    ) -> RequestOutcome {
        guard answer.tuple.transport.isStream, id == nil, let connectionID = message.number(.connectionID) else {
            return fail(.badRequest, answer)
        }
        return .bindConnection(
            PendingBinding(connectionID: connectionID, username: identity.username, answer: answer.postponed))
    }

    /// Writes the answer to a ConnectionBind request.
    ///
    /// - Parameter isBound: false when there is no such connection for this username.
    public mutating func completeBinding(
        _ pending: PendingBinding, isBound: Bool, into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        let answer = Answer(pending.answer, output: output)
        if isBound { return answer.succeed() }
        statistics.error(.badRequest, over: pending.tuple.transport)
        return answer.refuse(.badRequest)
    }
}
