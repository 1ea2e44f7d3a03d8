public import Base
import STUN

/// One client's relayed transport address, with who may send to it and by which channels (RFC 8656 section 3.2).
///
/// Every packet looks into one: it cannot be copied, and is searched by index, which retains nothing.
struct Allocation: ~Copyable {
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

    let tuple: FiveTuple
    let user: UserAddress
    let username: String
    let key: LongTermKey
    /// Of the Allocate request, so that its retransmission is known.
    let transactionID: TransactionID
    let grantedLifetimeSeconds: UInt32
    /// As the client was told.
    let relayed: SocketAddress
    var expiresAt: MonotonicInstant
    private(set) var permissions: [Permission] = []
    private(set) var channels: [Channel] = []

    init(_ pending: PendingAllocation, relayed: SocketAddress, expiresAt: MonotonicInstant) {
        tuple = pending.tuple
        user = pending.user
        username = pending.username
        key = pending.key
        transactionID = pending.transactionID
        grantedLifetimeSeconds = pending.lifetimeSeconds
        self.relayed = relayed
        self.expiresAt = expiresAt
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
            permissions.append(Permission(ip: ip, expiresAt: expiresAt, byPort: byPort))
        }
    }

    /// Binds or refreshes a channel.
    mutating func bind(_ number: UInt16, to peer: SocketAddress, byPort: Bool, until expiresAt: MonotonicInstant) {
        if let index = channels.firstIndex(where: { $0.number == number }) {
            channels[index].expiresAt = expiresAt
        } else {
            channels.append(Channel(number: number, peer: peer, expiresAt: expiresAt, byPort: byPort))
        }
    }
}

/// An Allocate request that was found good: the service opens a relay socket for it, or has it refused.
public struct PendingAllocation: Sendable {
    public let tuple: FiveTuple
    public let user: UserAddress
    /// The client asked for an even port (RFC 8656 section 7.2).
    public let wantsEvenPort: Bool
    let username: String
    let key: LongTermKey
    let transactionID: TransactionID
    let lifetimeSeconds: UInt32
    let wantsFingerprint: Bool
}
