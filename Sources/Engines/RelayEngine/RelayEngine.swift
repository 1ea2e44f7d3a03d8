public import Base
import Crypto
public import STUN

/// STUN and TURN as a server decides it (RFC 8489, RFC 8656), for one event loop: allocations, permissions, channels,
/// authentication, and what becomes of every datagram.
///
/// It does no I/O and reads no clock. The service hands in datagrams and the time, and carries out what comes back: it
/// owns the sockets and the bytes. What is relayed (`receive`, `receiveFromPeer`) takes no allocation; requests go to
/// `answer`, which writes the answer into the caller's buffer. Nothing is kept of a client before it has authenticated.
public struct RelayEngine: ~Copyable {
    public struct Configuration: Sendable {
        /// At least one; a 5-tuple says which counts.
        public var realms: [RelayRealm]
        /// How long TURN REST credentials are good from when they were made: by this their expiry tells when that was.
        public var credentialLifetimeSeconds: Int64 = 3600
        /// Answers of the operator's server that are remembered.
        public var maxAuthorizations = 4096
        /// Revocations that are remembered.
        public var maxRevocations = 4096
        /// Of this process; all its event loops share it, so that a nonce counts on each.
        public var nonceSecret: [UInt8]
        public var nonceLifetimeMs: Int
        public var defaultLifetimeSeconds: Int
        public var maxLifetimeSeconds: Int
        public var maxPermissionsPerAllocation: Int
        public var maxChannelsPerAllocation: Int
        /// Of a TCP allocation, those that are being made included (508 beyond).
        public var maxConnectionsPerAllocation = 64
        /// Bind channels of RFC 5766 too, up to 0x7FFF.
        public var allowsFormerChannelNumbers: Bool
        public var unauthenticatedAnswersPerSecond: Int
        public var unauthenticatedAnswersBurst: Int
        /// Whether clients may take their allocations to other 5-tuples (RFC 8016).
        public var allowsMobility = true
        /// Whether clients over TCP and TLS may have TCP allocations (RFC 6062).
        public var allowsTCPAllocations = true
        /// Of this process, 32 bytes; all its event loops share it, so that a mobility ticket counts on each.
        public var ticketKey: [UInt8]
        /// Where new clients are sent while the node drains, at most one of each family.
        public var alternateServers: [SocketAddress] = []
        /// The name that such a server's certificate has (RFC 8489 section 14.16).
        public var alternateDomain: String?
        /// The listeners by which clients discover how NATs behave (RFC 5780); without them such requests are refused.
        public var discovery: DiscoveryListeners?

        public init(
            realms: [RelayRealm], nonceSecret: [UInt8], nonceLifetimeMs: Int = 3_600_000,
            defaultLifetimeSeconds: Int = 600, maxLifetimeSeconds: Int = 3600, maxPermissionsPerAllocation: Int = 64,
            maxChannelsPerAllocation: Int = 64, allowsFormerChannelNumbers: Bool = false,
            unauthenticatedAnswersPerSecond: Int = 100,
            unauthenticatedAnswersBurst: Int = 500, ticketKey: [UInt8]
        ) {
            self.realms = realms
            self.nonceSecret = nonceSecret
            self.nonceLifetimeMs = nonceLifetimeMs
            self.defaultLifetimeSeconds = defaultLifetimeSeconds
            self.maxLifetimeSeconds = maxLifetimeSeconds
            self.maxPermissionsPerAllocation = maxPermissionsPerAllocation
            self.maxChannelsPerAllocation = maxChannelsPerAllocation
            self.allowsFormerChannelNumbers = allowsFormerChannelNumbers
            self.unauthenticatedAnswersPerSecond = unauthenticatedAnswersPerSecond
            self.unauthenticatedAnswersBurst = unauthenticatedAnswersBurst
            self.ticketKey = ticketKey
        }
    }

    /// The largest answer.
    public static let maxAnswerByteCount = 2048
    /// RFC 8656 sections 9 and 12.
    static let permissionLifetime = Duration.seconds(300)
    static let channelLifetime = Duration.seconds(600)

    let configuration: Configuration
    public let policy: PeerPolicy
    /// Which of the node's event loops this is.
    let loopIndex: UInt8
    let nonces: NonceIssuer
    var limiter: SourceRateLimiter
    var allocations = AllocationTable()
    var authorizations: AuthorizationMemory
    var revocations: CredentialRevocations
    var recentlyDeleted = DeletionMemory()
    public internal(set) var statistics = RelayStatistics()
    /// While set, no new allocation is made; live ones go on.
    public var isDraining = false
    let tickets: MobilityTickets
    /// The next number of a mobile allocation; the event loop's index is in it, so that it is the node's.
    var nextMobilityNumber: UInt64
    private var indications: UInt64

    public init(configuration: Configuration, policy: PeerPolicy, loopIndex: UInt8 = 0) {
        precondition(!configuration.realms.isEmpty)
        self.configuration = configuration
        self.policy = policy
        self.loopIndex = loopIndex
        tickets = MobilityTickets(key: configuration.ticketKey)
        nextMobilityNumber = UInt64(loopIndex) << 56 | 1
        nonces = NonceIssuer(
            secret: configuration.nonceSecret, lifetime: .milliseconds(configuration.nonceLifetimeMs))
        authorizations = AuthorizationMemory(maxCount: configuration.maxAuthorizations)
        revocations = CredentialRevocations(maxCount: configuration.maxRevocations)
        limiter = SourceRateLimiter(
            perSecond: configuration.unauthenticatedAnswersPerSecond, burst: configuration.unauthenticatedAnswersBurst)
        // Nothing of the secret itself leaves the process, and no two loops begin alike.
        indications = HMAC.sha256(key: configuration.nonceSecret, Array("indications".utf8) + [loopIndex])
            .prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    public var allocationCount: Int { allocations.count }

    /// Whether a client has an allocation there.
    public func hasAllocation(of tuple: FiveTuple, now: MonotonicInstant) -> Bool {
        liveAllocation(of: tuple, now: now) != nil
    }

    /// Whether the allocation is still there.
    public func holds(_ id: AllocationID) -> Bool { allocations.contains(id) }

    /// Whether something costly may be done for a client that has not authenticated: counted as one of the answers to its
    /// prefix.
    public mutating func admitsStranger(_ source: IPAddress, now: MonotonicInstant) -> Bool {
        limiter.allows(source, now: now)
    }

    /// Counts a message that the service has dropped.
    public mutating func dropped(_ reason: RelayDropReason) { statistics.drop(reason) }

    // MARK: - From clients

    public enum ClientAction: Equatable, Sendable {
        /// Dropped, and counted.
        case none
        /// Send this part of the datagram from the allocation's relay socket of the peer's family.
        case relay(AllocationID, to: SocketAddress, payload: Range<Int>, dontFragment: Bool = false)
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
        guard let id = allocationInUse(by: tuple, now: now) else { return drop(.noAllocation) }
        guard let channel = allocations[id].channel(header.channel, now: now) else { return drop(.noChannel) }
        if channel.byPort, !policy.permitsOwn(channel.peer) { return drop(.peerRefused) }
        return relay(id, to: channel.peer, payload: header.payload, dontFragment: false, now: now)
    }

    /// A Send indication (RFC 8656 section 11.2).
    private mutating func receiveSend(
        _ datagram: RawSpan, from tuple: FiveTuple, now: MonotonicInstant
    ) -> ClientAction {
        guard let message = try? STUNMessage(datagram), message.isUnderstood,
            let peer = message.xorAddress(.xorPeerAddress), let data = message.attribute(.data)
        else { return drop(.malformed) }
        guard let id = allocationInUse(by: tuple, now: now) else { return drop(.noAllocation) }
        guard let permission = allocations[id].permission(for: peer.ip, now: now), allocations[id].transport == .udp
        else { return drop(.noPermission) }
        if permission.byPort, !policy.permitsOwn(peer) { return drop(.peerRefused) }
        return relay(
            id, to: peer, payload: data.range, dontFragment: message.attribute(.dontFragment) != nil, now: now)
    }

    @inline(__always)
    private mutating func relay(
        _ id: AllocationID, to peer: SocketAddress, payload: Range<Int>, dontFragment: Bool, now: MonotonicInstant
    ) -> ClientAction {
        guard allocations[id].credit.spend(payload.count, now: now) else { return drop(.overBandwidth) }
        let transport = Int(allocations[id].tuple.transport.rawValue)
        statistics.traffic[transport].packetsToPeers += 1
        statistics.traffic[transport].bytesToPeers += UInt64(payload.count)
        allocations[id].traffic.packetsToPeers += 1
        allocations[id].traffic.bytesToPeers += UInt64(payload.count)
        return .relay(id, to: policy.local(peer), payload: payload, dontFragment: dontFragment)
    }

    @inline(__always)
    func liveAllocation(of tuple: FiveTuple, now: MonotonicInstant) -> AllocationID? {
        guard let id = allocations.id(of: tuple), allocations[id].expiresAt > now else { return nil }
        return id
    }

    /// The allocation of a client that uses it: one that has announced this 5-tuple has arrived there.
    @inline(__always)
    private mutating func allocationInUse(by tuple: FiveTuple, now: MonotonicInstant) -> AllocationID? {
        guard let id = liveAllocation(of: tuple, now: now) else { return nil }
        if allocations[id].nextTuple != nil { arrive(id, at: tuple) }
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
        guard allocations[id].credit.spend(payloadCount, now: now) else { return dropFromPeer(.overBandwidth) }
        let tuple = allocations[id].tuple
        statistics.traffic[Int(tuple.transport.rawValue)].packetsToClient += 1
        statistics.traffic[Int(tuple.transport.rawValue)].bytesToClient += UInt64(payloadCount)
        allocations[id].traffic.packetsToClient += 1
        allocations[id].traffic.bytesToClient += UInt64(payloadCount)
        if let channel = allocations[id].channel(to: peer, now: now) { return .channelData(channel.number, to: tuple) }
        return .dataIndication(peer: peer, nextIndication(), to: tuple)
    }

    /// Indications are not answered: their ids need only differ.
    mutating func nextIndication() -> TransactionID {
        indications &+= 0x9E37_79B9_7F4A_7C15
        return TransactionID(high: UInt32(truncatingIfNeeded: indications >> 7), low: indications)
    }

    private mutating func dropFromPeer(_ reason: RelayDropReason) -> PeerAction {
        statistics.drop(reason)
        return .none
    }
}
