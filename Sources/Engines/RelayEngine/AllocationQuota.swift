public import Base
public import STUN

/// How much of a node its users may take.
public struct RelayQuotas: Equatable, Sendable {
    /// Allocations of the node (508 beyond).
    public var maxAllocations: Int
    /// Allocations of a tenant (486 beyond).
    public var maxAllocationsPerTenant: Int
    /// Allocations of a user (486 beyond).
    public var maxAllocationsPerUser: Int
    /// Application bytes relayed a second, both ways together; what is over is dropped. 0: no limit.
    public var maxBytesPerSecond: Int
    public var maxBytesPerSecondPerTenant: Int
    public var maxBytesPerSecondPerUser: Int

    public init(
        maxAllocations: Int, maxAllocationsPerTenant: Int = .max, maxAllocationsPerUser: Int,
        maxBytesPerSecond: Int = 0, maxBytesPerSecondPerTenant: Int = 0, maxBytesPerSecondPerUser: Int = 0
    ) {
        self.maxAllocations = maxAllocations
        self.maxAllocationsPerTenant = maxAllocationsPerTenant
        self.maxAllocationsPerUser = maxAllocationsPerUser
        self.maxBytesPerSecond = maxBytesPerSecond
        self.maxBytesPerSecondPerTenant = maxBytesPerSecondPerTenant
        self.maxBytesPerSecondPerUser = maxBytesPerSecondPerUser
    }
}

/// Counts allocations over all event loops of a node, in total, per tenant and per user, and holds the buckets of their
/// bandwidth. Who holds no allocation leaves nothing here but a bucket, until it is full again.
public struct AllocationQuota: Sendable {
    private struct Holder {
        var count = 0
        let bucket: TokenBucket?
    }

    private let quotas: RelayQuotas
    private let nodeBucket: TokenBucket?
    private var byTenant: [Tenant: Holder] = [:]
    private var byUser: [UserAddress: Holder] = [:]
    public private(set) var total = 0

    public init(_ quotas: RelayQuotas, now: MonotonicInstant) {
        self.quotas = quotas
        nodeBucket = Self.bucket(quotas.maxBytesPerSecond, now)
    }

    private static func bucket(_ bytesPerSecond: Int, _ now: MonotonicInstant) -> TokenBucket? {
        bytesPerSecond > 0 ? TokenBucket(bytesPerSecond: bytesPerSecond, now: now) : nil
    }

    /// Counts one more allocation, and says what it may relay by; or with which error it is refused (RFC 8656 section 7.2).
    public mutating func reserve(
        for user: UserAddress, now: MonotonicInstant
    ) -> Result<BandwidthCredit, STUNErrorCode> {
        guard total < quotas.maxAllocations else { return .failure(.insufficientCapacity) }
        var tenant = byTenant[user.tenant] ?? Holder(bucket: Self.bucket(quotas.maxBytesPerSecondPerTenant, now))
        var holder = byUser[user] ?? Holder(bucket: Self.bucket(quotas.maxBytesPerSecondPerUser, now))
        guard tenant.count < quotas.maxAllocationsPerTenant, holder.count < quotas.maxAllocationsPerUser else {
            return .failure(.allocationQuotaReached)
        }
        tenant.count += 1
        holder.count += 1
        total += 1
        byTenant[user.tenant] = tenant
        byUser[user] = holder
        return .success(
            BandwidthCredit(BandwidthLimits([holder.bucket, tenant.bucket, nodeBucket].compactMap { $0 })))
    }

    public mutating func release(for user: UserAddress) {
        guard let holder = byUser[user], let tenant = byTenant[user.tenant] else {
            preconditionFailure("released an allocation that was not reserved")
        }
        byUser[user] = Self.without(holder)
        byTenant[user.tenant] = Self.without(tenant)
        total -= 1
    }

    /// A bucket stays when its last allocation goes, or the next one would find another, full one.
    private static func without(_ holder: Holder) -> Holder? {
        holder.count > 1 || holder.bucket != nil ? Holder(count: holder.count - 1, bucket: holder.bucket) : nil
    }

    /// Forgets the buckets that are full and nobody's. Called about once a second.
    public mutating func sweep(now: MonotonicInstant) {
        func isOver(_ holder: Holder) -> Bool { holder.count == 0 && holder.bucket?.isFull(now: now) != false }
        if quotas.maxBytesPerSecondPerUser > 0 { byUser = byUser.filter { !isOver($0.value) } }
        if quotas.maxBytesPerSecondPerTenant > 0 { byTenant = byTenant.filter { !isOver($0.value) } }
    }
}
