public import Base
public import STUN

/// Counts allocations over all event loops of a node: in total and per user.
public struct AllocationQuota: Sendable {
    private let maxAllocations: Int
    private let maxAllocationsPerUser: Int
    private var byUser: [UserAddress: Int] = [:]
    public private(set) var total = 0

    public init(maxAllocations: Int, maxAllocationsPerUser: Int) {
        self.maxAllocations = maxAllocations
        self.maxAllocationsPerUser = maxAllocationsPerUser
    }

    /// Counts one more allocation; or says with which error it is refused (RFC 8656 section 7.2).
    public mutating func reserve(for user: UserAddress) -> STUNErrorCode? {
        guard total < maxAllocations else { return .insufficientCapacity }
        let held = byUser[user, default: 0]
        guard held < maxAllocationsPerUser else { return .allocationQuotaReached }
        byUser[user] = held + 1
        total += 1
        return nil
    }

    public mutating func release(for user: UserAddress) {
        guard let held = byUser[user] else { preconditionFailure("released an allocation that was not reserved") }
        byUser[user] = held > 1 ? held - 1 : nil
        total -= 1
    }
}
