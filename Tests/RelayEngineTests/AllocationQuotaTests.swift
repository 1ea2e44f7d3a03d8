import Base
import STUN
import Testing

@testable import RelayEngine

@Suite struct AllocationQuotaTests {
    private let now = MonotonicInstant(nanoseconds: 0)

    private func user(_ tenant: String, _ name: String) -> UserAddress {
        UserAddress(tenant: Tenant(tenant)!, user: name)!
    }

    @Test func usersTenantsAndTheNodeHaveTheirLimits() {
        var quota = AllocationQuota(
            RelayQuotas(maxAllocations: 5, maxAllocationsPerTenant: 3, maxAllocationsPerUser: 2), now: now)
        func code(_ tenant: String, _ name: String) -> UInt16? {
            switch quota.reserve(for: user(tenant, name), now: now) {
            case .success: nil
            case .failure(let code): code.rawValue
            }
        }
        #expect(code("a", "x") == nil)
        #expect(code("a", "x") == nil)
        #expect(code("a", "x") == 486)
        #expect(code("a", "y") == nil)
        #expect(code("a", "z") == 486)
        // Another tenant's user of the same name is another.
        #expect(code("b", "x") == nil)
        #expect(code("b", "y") == nil)
        #expect(code("b", "z") == 508)
        quota.release(for: user("a", "x"))
        #expect(code("a", "z") == nil)
        #expect(quota.total == 5)
    }

    @Test func whoComesBackFindsTheBucketAsItWasLeft() {
        var quota = AllocationQuota(
            RelayQuotas(maxAllocations: 5, maxAllocationsPerUser: 2, maxBytesPerSecondPerUser: 100_000), now: now)
        func spend(_ count: Int, at now: MonotonicInstant) -> Bool? {
            guard case .success(var credit) = quota.reserve(for: user("a", "x"), now: now) else { return nil }
            defer { quota.release(for: user("a", "x")) }
            return credit.spend(count, now: now)
        }
        #expect(spend(65_000, at: now) == true)
        quota.sweep(now: now)
        #expect(spend(65_000, at: now) == false)
        // A full bucket is forgotten; another one begins as the first did.
        let later = now + .seconds(10)
        quota.sweep(now: later)
        #expect(spend(65_000, at: later) == true)
    }
}
