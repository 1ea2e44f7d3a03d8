public import Base
public import STUN

/// STUN and TURN as a server decides it (RFC 8489, RFC 8656), for one event loop: allocations, permissions, channels,
/// authentication, and what becomes of every datagram.
///
/// It does no I/O and reads no clock. The service hands in datagrams and the time, and carries out what comes back: it
/// owns the sockets and the bytes. What is relayed (`receive`, `receiveFromPeer`) takes no allocation; requests go to
/// `answer`, which writes the answer into the caller's buffer. Nothing is kept of a client before it has authenticated.
public struct RelayEngine: ~Copyable {
    public struct Configuration: Sendable {
        public var realm: String
        /// The secret of the TURN REST credentials.
        public var sharedSecret: [UInt8]
        /// Of this process; all its event loops share it, so that a nonce counts on each.
        public var nonceSecret: [UInt8]
        public var nonceLifetimeMs: Int
        public var defaultLifetimeSeconds: Int
        public var maxLifetimeSeconds: Int
        public var maxPermissionsPerAllocation: Int
        public var maxChannelsPerAllocation: Int
        /// Bind channels of RFC 5766 too, up to 0x7FFF.
        public var allowsFormerChannelNumbers: Bool
        public var unauthenticatedAnswersPerSecond: Int
        public var unauthenticatedAnswersBurst: Int

        public init(
            realm: String, sharedSecret: [UInt8], nonceSecret: [UInt8], nonceLifetimeMs: Int = 3_600_000,
            defaultLifetimeSeconds: Int = 600, maxLifetimeSeconds: Int = 3600, maxPermissionsPerAllocation: Int = 64,
            maxChannelsPerAllocation: Int = 64, allowsFormerChannelNumbers: Bool = false,
            unauthenticatedAnswersPerSecond: Int = 100,
            unauthenticatedAnswersBurst: Int = 500
        ) {
            self.realm = realm
            self.sharedSecret = sharedSecret
            self.nonceSecret = nonceSecret
            self.nonceLifetimeMs = nonceLifetimeMs
            self.defaultLifetimeSeconds = defaultLifetimeSeconds
            self.maxLifetimeSeconds = maxLifetimeSeconds
            self.maxPermissionsPerAllocation = maxPermissionsPerAllocation
            self.maxChannelsPerAllocation = maxChannelsPerAllocation
            self.allowsFormerChannelNumbers = allowsFormerChannelNumbers
            self.unauthenticatedAnswersPerSecond = unauthenticatedAnswersPerSecond
            self.unauthenticatedAnswersBurst = unauthenticatedAnswersBurst
        }
    }

    /// A realm of at most this many bytes keeps a 401 within 128 bytes, with room for the nonce to grow.
    public static let maxRealmByteCount = 40
    /// The largest answer.
    public static let maxAnswerByteCount = 256
    /// RFC 8656 sections 9 and 12.
    static let permissionLifetime = Duration.seconds(300)
    static let channelLifetime = Duration.seconds(600)

    let configuration: Configuration
    let policy: PeerPolicy
    let nonces: NonceIssuer
    var limiter: SourceRateLimiter
    var allocations = AllocationTable()
    var recentlyDeleted = DeletionMemory()
    public internal(set) var statistics = RelayStatistics()
    /// While set, no new allocation is made; live ones go on.
    public var isDraining = false
    private var indications: UInt64

    public init(configuration: Configuration, policy: PeerPolicy) {
        precondition(configuration.realm.utf8.count <= Self.maxRealmByteCount)
        self.configuration = configuration
        self.policy = policy
        nonces = NonceIssuer(
            secret: configuration.nonceSecret, lifetime: .milliseconds(configuration.nonceLifetimeMs))
        limiter = SourceRateLimiter(
            perSecond: configuration.unauthenticatedAnswersPerSecond, burst: configuration.unauthenticatedAnswersBurst)
        indications = configuration.nonceSecret.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    public var allocationCount: Int { allocations.count }

    // MARK: - From clients

    public enum ClientAction: Equatable, Sendable {
        /// Dropped, and counted.
        case none
        /// Send this part of the datagram from the allocation's relay socket.
        case relay(AllocationID, to: SocketAddress, payload: Range<Int>)
        /// A STUN request, for `answer`.
        case request
    }

    /// Decides about a datagram that came to a listener.
    public mutating func receive(_ datagram: RawSpan, from tuple: FiveTuple, now: MonotonicInstant) -> ClientAction {
        guard !datagram.isEmpty else { return drop(.malformed) }
        switch DatagramKind(firstByte: datagram.bigEndian(at: 0, as: UInt8.self)) {
        case .channelData:
            return receiveChannelData(datagram, from: tuple, now: now)
        case .stun:
            guard let type = STUNMessageType(peeking: datagram) else { return drop(.malformed) }
            switch type.messageClass {
            case .request: return .request
            case .indication where type.method == .send: return receiveSend(datagram, from: tuple, now: now)
            // A keepalive (RFC 8489 section 2): nothing to do.
            case .indication where type.method == .binding: return .none
            case .indication, .success, .error: return drop(.malformed)
            }
        case .other:
            return drop(.malformed)
        }
    }

    private mutating func receiveChannelData(
        _ datagram: RawSpan, from tuple: FiveTuple, now: MonotonicInstant
    ) -> ClientAction {
        guard let header = ChannelData.read(datagram) else { return drop(.malformed) }
        guard let id = liveAllocation(of: tuple, now: now) else { return drop(.noAllocation) }
        guard let channel = allocations[id].channel(header.channel, now: now) else { return drop(.noChannel) }
        if channel.byPort, !policy.permitsOwn(channel.peer) { return drop(.peerRefused) }
        return relay(id, to: channel.peer, payload: header.payload)
    }

    /// A Send indication (RFC 8656 section 11.2).
    private mutating func receiveSend(
        _ datagram: RawSpan, from tuple: FiveTuple, now: MonotonicInstant
    ) -> ClientAction {
        guard let message = try? STUNMessage(datagram), message.isUnderstood,
            let peer = message.xorAddress(.xorPeerAddress), let data = message.attribute(.data)
        else { return drop(.malformed) }
        guard let id = liveAllocation(of: tuple, now: now) else { return drop(.noAllocation) }
        guard let permission = allocations[id].permission(for: peer.ip, now: now) else { return drop(.noPermission) }
        if permission.byPort, !policy.permitsOwn(peer) { return drop(.peerRefused) }
        return relay(id, to: peer, payload: data.range)
    }

    @inline(__always)
    private mutating func relay(_ id: AllocationID, to peer: SocketAddress, payload: Range<Int>) -> ClientAction {
        statistics.packetsToPeers += 1
        statistics.bytesToPeers += UInt64(payload.count)
        return .relay(id, to: policy.local(peer), payload: payload)
    }

    @inline(__always)
    func liveAllocation(of tuple: FiveTuple, now: MonotonicInstant) -> AllocationID? {
        guard let id = allocations.id(of: tuple), allocations[id].expiresAt > now else { return nil }
        return id
    }

    @inline(__always)
    private mutating func drop(_ reason: RelayDropReason) -> ClientAction {
        statistics.drop(reason)
        return .none
    }

    // MARK: - From peers

    public enum PeerAction: Equatable, Sendable {
        /// Dropped, and counted.
        case none
        /// Send to the client in a ChannelData message.
        case channelData(UInt16, to: FiveTuple)
        /// Send to the client in a Data indication that names the peer so.
        case dataIndication(peer: SocketAddress, TransactionID, to: FiveTuple)
    }

    /// Decides about a datagram that came to a relay socket (RFC 8656 sections 11.3 and 12.7).
    public mutating func receiveFromPeer(
        _ id: AllocationID, from peer: SocketAddress, payloadCount: Int, now: MonotonicInstant
    ) -> PeerAction {
        guard allocations.contains(id), allocations[id].expiresAt > now else { return dropFromPeer(.noAllocation) }
        guard payloadCount <= DataIndication.maxPayloadByteCount else { return dropFromPeer(.tooLarge) }
        let peer = policy.published(peer)
        guard allocations[id].permission(for: peer.ip, now: now) != nil else { return dropFromPeer(.noPermission) }
        statistics.packetsToClients += 1
        statistics.bytesToClients += UInt64(payloadCount)
        let tuple = allocations[id].tuple
        if let channel = allocations[id].channel(to: peer, now: now) { return .channelData(channel.number, to: tuple) }
        // Indications are not answered: their ids need only differ.
        indications &+= 0x9E37_79B9_7F4A_7C15
        return .dataIndication(
            peer: peer, TransactionID(high: UInt32(truncatingIfNeeded: indications >> 7), low: indications), to: tuple)
    }

    private mutating func dropFromPeer(_ reason: RelayDropReason) -> PeerAction {
        statistics.drop(reason)
        return .none
    }

    // MARK: - Ends

    /// An allocation that is gone: the service closes its socket and gives back what it reserved.
    public struct Closed: Equatable, Sendable {
        public let id: AllocationID
        public let user: UserAddress
        public let relayed: SocketAddress
    }

    /// Removes the allocations whose lifetime is over. Called about once a second; packets do not wait for it.
    public mutating func expire(now: MonotonicInstant) -> [Closed] {
        allocations.expired(now: now).map { close($0) }
    }

    /// Removes every allocation.
    public mutating func closeAll() -> [Closed] {
        allocations.all.map { close($0) }
    }

    mutating func close(_ id: AllocationID) -> Closed {
        let allocation = allocations.remove(id)
        statistics.allocationsClosed += 1
        return Closed(id: id, user: allocation.user, relayed: allocation.relayed)
    }
}
