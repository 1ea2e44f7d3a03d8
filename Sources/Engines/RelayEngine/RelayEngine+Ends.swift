public import Base

extension RelayEngine {
    /// Why an allocation ended.
    public enum EndReason: Int, CaseIterable, Sendable {
        /// Its lifetime is over.
        case expired
        /// The client has deleted it.
        case deleted
        /// The client's connection, over which it was made, has ended.
        case disconnected
        /// An operator, or a revocation, has ended it.
        case revoked
        /// The node ends.
        case shutdown
    }

    /// An allocation that is gone: the service closes its sockets and gives back what it reserved.
    public struct Closed: Equatable, Sendable {
        public let id: AllocationID
        public let user: UserAddress
        public let tuple: FiveTuple
        /// Of the relayed transport addresses that were still there.
        public let ports: AllocatedPorts
        /// How peers were reached.
        public let transport: RelayedTransport
        /// Under which other event loops ask for it; 0 without mobility.
        public let mobilityNumber: UInt64
        public internal(set) var traffic: RelayTraffic
        public let age: Duration
        public let reason: EndReason
    }

    /// Removes the allocations whose lifetime is over. Called about once a second; packets do not wait for it.
    public mutating func expire(now: MonotonicInstant) -> [Closed] {
        close(.expired, now: now) { $0.expiresAt <= now }
    }

    /// Removes every allocation.
    public mutating func closeAll(now: MonotonicInstant) -> [Closed] {
        close(.shutdown, now: now) { _ in true }
    }

    /// Removes the allocations of users that something holds of.
    public mutating func revoke(now: MonotonicInstant, where holds: (UserAddress) -> Bool) -> [Closed] {
        close(.revoked, now: now) { holds($0.identity.user) }
    }

    /// Removes one, by an operator's word; nil when it is gone already.
    public mutating func revoke(_ id: AllocationID, now: MonotonicInstant) -> Closed? {
        allocations.contains(id) ? close(id, .revoked, now: now) : nil
    }

    /// The client's connection has ended. A mobile allocation waits for its client on another path until it expires; this one is given
    /// up, since the next connection of the same 5-tuple may be somebody else's.
    public mutating func disconnect(_ tuple: FiveTuple, now: MonotonicInstant) -> Closed? {
        guard let id = allocations.id(of: tuple) else { return nil }
        guard allocations[id].mobilityNumber != 0 else { return close(id, .disconnected, now: now) }
        allocations.giveUp(tuple, of: id)
        return nil
    }

    mutating func close(
        _ reason: EndReason, now: MonotonicInstant, where holds: (borrowing Allocation) -> Bool
    ) -> [Closed] {
        allocations.ids(where: holds).map { close($0, reason, now: now) }
    }

    mutating func close(_ id: AllocationID, _ reason: EndReason, now: MonotonicInstant) -> Closed {
        let allocation = allocations.remove(id)
        statistics.allocationsClosed[reason.rawValue] += 1
        return Closed(
            id: id, user: allocation.identity.user, tuple: allocation.tuple, ports: allocation.livePorts,
            transport: allocation.transport, mobilityNumber: allocation.mobilityNumber, traffic: allocation.traffic,
            age: now - allocation.openedAt,
            reason: reason)
    }

    /// What an operator is shown of a live allocation.
    public struct Session: Sendable {
        public let id: AllocationID
        public let user: UserAddress
        public let tuple: FiveTuple
        public let ports: AllocatedPorts
        public let traffic: RelayTraffic
        public let age: Duration
        public let expiresIn: Duration
        public let permissionCount: Int
        public let channelCount: Int
    }

    /// Live allocations, at most `limit`, in no order.
    public func sessions(limit: Int, now: MonotonicInstant, where holds: (UserAddress) -> Bool) -> [Session] {
        var left = limit
        let ids = allocations.ids {
            guard left > 0, $0.expiresAt > now, holds($0.identity.user) else { return false }
            left -= 1
            return true
        }
        return ids.map { id in
            Session(
                id: id, user: allocations[id].identity.user, tuple: allocations[id].tuple,
                ports: allocations[id].livePorts, traffic: allocations[id].traffic,
                age: now - allocations[id].openedAt, expiresIn: allocations[id].expiresAt - now,
                permissionCount: allocations[id].permissions.count { $0.expiresAt > now },
                channelCount: allocations[id].channels.count { $0.expiresAt > now })
        }
    }
}
