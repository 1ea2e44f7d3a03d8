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
    public let owner: ConnectionOwner
    public var tuple: FiveTuple { answer.tuple }
    let answer: PostponedAnswer
}

/// A ConnectionBind request that was found good, as far as can be told here: the service looks for the connection, wherever it is, then
/// calls `completeBinding`.
public struct PendingBinding: Sendable {
    public let connectionID: UInt32
    /// Must be that of the connection's allocation.
    public let owner: ConnectionOwner
    public var tuple: FiveTuple { answer.tuple }
    let answer: PostponedAnswer
}

/// Whose an allocation's connections are. Users of different realms may have the same username, and with access tokens all users of a
/// key have.
public struct ConnectionOwner: Equatable, Sendable {
    let username: String
    let user: UserAddress

    init(_ identity: Identity) {
        username = identity.username
        user = identity.user
    }
}

/// What has passed over connections of TCP allocations.
public struct ConnectionBytes: Equatable, Sendable {
    public var toPeers: UInt64
    public var toClient: UInt64

    public init(toPeers: UInt64 = 0, toClient: UInt64 = 0) {
        self.toPeers = toPeers
        self.toClient = toClient
    }

    public static func += (sum: inout ConnectionBytes, more: ConnectionBytes) {
        sum.toPeers += more.toPeers
        sum.toClient += more.toClient
    }
}

extension RelayTraffic {
    mutating func add(_ bytes: ConnectionBytes) {
        bytesToPeers += bytes.toPeers
        bytesToClient += bytes.toClient
    }
}

extension RelayEngine.Closed {
    /// Counts what had not been told to the engine.
    public mutating func carried(_ bytes: ConnectionBytes) { traffic.add(bytes) }
}

/// TCP allocations (RFC 6062). A connection is known by its peer, of which an allocation has at most one; the service gives it the
/// CONNECTION-ID and the bytes never come here.
extension RelayEngine {
    /// How long a peer may take to answer (RFC 6062 section 5.2), and a client to bind a connection (sections 5.2 and 5.3).
    public static let connectionTimeout = Duration.seconds(30)

    /// What an allocation's traffic goes against; nil where nothing is limited.
    public func bandwidthLimits(of id: AllocationID) -> BandwidthLimits? { allocations[id].credit.limits }

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
                owner: ConnectionOwner(allocations[id].identity), answer: answer.postponed))
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
    /// - Returns: the peer as clients know it, who may bind the connection, and how the client is reached; nil when it is to be closed.
    public mutating func acceptConnection(
        _ id: AllocationID, from peer: SocketAddress, now: MonotonicInstant
    ) -> (peer: SocketAddress, owner: ConnectionOwner, over: FiveTuple.Transport)? {
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
        return (peer, ConnectionOwner(allocations[id].identity), allocations[id].tuple.transport)
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
    public mutating func connectionEnded(_ id: AllocationID, with peer: SocketAddress) {
        if allocations.contains(id) { forgetConnection(id, peer) }
    }

    /// Bytes have passed over connections of an allocation that is still there, or was.
    ///
    /// - Parameter transport: of its client.
    public mutating func carried(_ bytes: ConnectionBytes, for id: AllocationID, over transport: FiveTuple.Transport) {
        statistics.traffic[Int(transport.rawValue)].add(bytes)
        if allocations.contains(id) { allocations[id].traffic.add(bytes) }
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
            PendingBinding(connectionID: connectionID, owner: ConnectionOwner(identity), answer: answer.postponed))
    }

    /// Writes the answer to a ConnectionBind request.
    ///
    /// - Parameter isBound: false when there is no such connection of this owner.
    public mutating func completeBinding(
        _ pending: PendingBinding, isBound: Bool, into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        let answer = Answer(pending.answer, output: output)
        if isBound { return answer.succeed() }
        statistics.error(.badRequest, over: pending.tuple.transport)
        return answer.refuse(.badRequest)
    }
}
