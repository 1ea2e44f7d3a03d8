public import Base
public import STUN

/// One client's relayed transport addresses, with who may send to them and by which channels (RFC 8656 section 3.2).
///
/// Every packet looks into one: it cannot be copied, and is searched by index, which retains nothing.
struct Allocation: ~Copyable, Sendable {
    struct Permission {
        var ip: IPAddress
        var expiresAt: MonotonicInstant
        /// The peer is on this host: its port is asked about with every packet.
        var byPort: Bool
    }

    struct Channel {
        var number: UInt16
        var peer: SocketAddress
        var expiresAt: MonotonicInstant
        var byPort: Bool
    }

    // What every packet reads stands together, so that it is in few cache lines.

    /// The path to the client.
    var tuple: FiveTuple
    var expiresAt: MonotonicInstant
    private(set) var permissions: [Permission] = []
    private(set) var channels: [Channel] = []
    /// What it may still relay of its bandwidth.
    var credit: BandwidthCredit
    var traffic = RelayTraffic()
    /// Where the client has said it will be; it is there from its first message on (RFC 8016).
    var nextTuple: FiveTuple?

    private(set) var identity: Identity
    /// Of the Allocate request, so that its retransmission is known.
    let transactionID: TransactionID
    let grantedLifetimeSeconds: UInt32
    /// As the client was told, with the token of the port beside it.
    let ports: AllocatedPorts
    let missingFamily: MissingFamily?
    let reservationToken: UInt64?
    /// How peers are reached.
    let transport: RelayedTransport
    /// With which a TCP allocation has a connection, or is making one.
    var connectedPeers: [SocketAddress] = []
    /// Under which a mobility ticket names it; 0 without one.
    let mobilityNumber: UInt64
    /// Families whose relayed transport address is still there.
    private(set) var livePorts: AllocatedPorts
    private var challengedUntil = MonotonicInstant(nanoseconds: 0)
    let openedAt: MonotonicInstant

    init(
        _ pending: PendingAllocation, _ opened: OpenedRelay, _ credit: BandwidthCredit, mobilityNumber: UInt64,
        now: MonotonicInstant
    ) {
        tuple = pending.tuple
        identity = pending.identity
        transactionID = pending.transactionID
        grantedLifetimeSeconds = pending.lifetimeSeconds
        ports = opened.ports
        missingFamily = opened.missingFamily
        reservationToken = opened.reservationToken
        transport = pending.transport
        self.mobilityNumber = mobilityNumber
        livePorts = opened.ports
        self.credit = credit
        openedAt = now
        expiresAt = now + .seconds(Int64(pending.lifetimeSeconds))
    }

    @inline(__always)
    func permission(for ip: IPAddress, now: MonotonicInstant) -> Permission? {
        for index in permissions.indices where permissions[index].ip == ip {
            return permissions[index].expiresAt > now ? permissions[index] : nil
        }
        return nil
    }

    @inline(__always)
    func channel(_ number: UInt16, now: MonotonicInstant) -> Channel? {
        for index in channels.indices where channels[index].number == number {
            return channels[index].expiresAt > now ? channels[index] : nil
        }
        return nil
    }

    @inline(__always)
    func channel(to peer: SocketAddress, now: MonotonicInstant) -> Channel? {
        for index in channels.indices where channels[index].peer == peer {
            return channels[index].expiresAt > now ? channels[index] : nil
        }
        return nil
    }

    /// Whether a request that was not authenticated is answered: ten times a second, and as often at once.
    mutating func mayBeChallenged(now: MonotonicInstant) -> Bool {
        let next = max(challengedUntil, now) + .milliseconds(100)
        guard next <= now + .seconds(1) else { return false }
        challengedUntil = next
        return true
    }

    /// Forgets what has expired, and says how many permissions there are.
    mutating func prunePermissions(now: MonotonicInstant) -> Int {
        permissions.removeAll { $0.expiresAt <= now }
        return permissions.count
    }

    mutating func pruneChannels(now: MonotonicInstant) -> Int {
        channels.removeAll { $0.expiresAt <= now }
        return channels.count
    }

    /// Installs or refreshes a permission.
    mutating func permit(_ ip: IPAddress, byPort: Bool, until expiresAt: MonotonicInstant) {
        if let index = permissions.firstIndex(where: { $0.ip == ip }) {
            permissions[index].expiresAt = expiresAt
        } else {
            // One by one: most have one or two, and an array that doubles would keep more.
            permissions.reserveCapacity(permissions.count + 1)
            permissions.append(Permission(ip: ip, expiresAt: expiresAt, byPort: byPort))
        }
    }

    /// Binds or refreshes a channel.
    mutating func bind(_ number: UInt16, to peer: SocketAddress, byPort: Bool, until expiresAt: MonotonicInstant) {
        if let index = channels.firstIndex(where: { $0.number == number }) {
            channels[index].expiresAt = expiresAt
        } else {
            channels.reserveCapacity(channels.count + 1)
            channels.append(Channel(number: number, peer: peer, expiresAt: expiresAt, byPort: byPort))
        }
    }

    /// Takes the key of the last access token that its client has shown (RFC 7635): requests without one are authenticated
    /// by it.
    mutating func renew(_ shown: Identity) {
        if shown.proof == .accessToken { identity = shown.owned(by: identity.user) }
    }

    /// Gives up the relayed transport address of one family, with all that belongs to it (RFC 8656 section 8.2).
    mutating func remove(_ family: IPAddress.Family) {
        livePorts[family] = nil
        permissions.removeAll { $0.ip.family == family }
        channels.removeAll { $0.peer.ip.family == family }
    }
}

/// Application data of an allocation, both ways.
public struct RelayTraffic: Equatable, Sendable {
    public internal(set) var packetsToPeers: UInt64 = 0
    public internal(set) var bytesToPeers: UInt64 = 0
    public internal(set) var packetsToClient: UInt64 = 0
    public internal(set) var bytesToClient: UInt64 = 0
}

/// A family that was asked for in addition, and could not be had (RFC 8656 section 18.12).
public struct MissingFamily: Equatable, Sendable {
    public let family: IPAddress.Family
    public let code: STUNErrorCode

    public init(_ family: IPAddress.Family, _ code: STUNErrorCode) {
        self.family = family
        self.code = code
    }
}

/// An Allocate request that was found good: the service opens relay sockets for it, or has it refused.
public struct PendingAllocation: Sendable {
    /// What EVEN-PORT asks for (RFC 8656 section 18.7).
    public enum PortWish: Equatable, Sendable {
        case any
        case even
        /// Even, and the next higher one kept for a later allocation.
        case evenAndNext
        /// The one that was kept under this token.
        case reserved(UInt64)
    }

    public let tuple: FiveTuple
    public var user: UserAddress { identity.user }
    /// How peers are to be reached.
    public let transport: RelayedTransport
    /// One, or two where ADDITIONAL-ADDRESS-FAMILY asks for both: then one of them will do.
    public let families: [IPAddress.Family]
    /// A family that was asked for in addition, and that this node has no address of.
    public let missingFamily: MissingFamily?
    public let portWish: PortWish
    let identity: Identity
    let transactionID: TransactionID
    let lifetimeSeconds: UInt32
    let wantsFingerprint: Bool
    let wantsMobility: Bool
}

/// What the service has opened for a pending allocation.
public struct OpenedRelay: Sendable {
    public var ports: AllocatedPorts
    public var missingFamily: MissingFamily?
    /// Of the next higher port.
    public var reservationToken: UInt64?

    public init(ports: AllocatedPorts, missingFamily: MissingFamily? = nil, reservationToken: UInt64? = nil) {
        self.ports = ports
        self.missingFamily = missingFamily
        self.reservationToken = reservationToken
    }
}
