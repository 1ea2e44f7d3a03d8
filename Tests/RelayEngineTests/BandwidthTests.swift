import Base
import Testing

@testable import RelayEngine

@Suite struct BandwidthTests {
    private let start = MonotonicInstant(nanoseconds: 5_000_000_000)
    private let alice = UserAddress(tenant: .default, user: "alice")!
    private let bob = UserAddress(tenant: .default, user: "bob")!

    /// Sends packets of a size every so often, and returns how many bytes went.
    private func flood(
        _ credit: inout BandwidthCredit, packet: Int, every interval: Duration, for duration: Duration,
        from start: MonotonicInstant
    ) -> Int {
        var now = start
        var passed = 0
        while now < start + duration {
            if credit.spend(packet, now: now) { passed += packet }
            now = now + interval
        }
        return passed
    }

    @Test func aNewBucketHoldsTheLeastBurstAndFillsToASecond() throws {
        let bucket = TokenBucket(bytesPerSecond: 1_000_000, now: start)
        #expect(bucket.take(TokenBucket.minBurstByteCount, now: start) == nil)
        #expect(bucket.take(1, now: start) == start + .microseconds(1))
        // After more than a second it is full, and no fuller.
        let later = start + .seconds(100)
        #expect(bucket.take(1_000_000, now: later) == nil)
        #expect(bucket.take(500_000, now: later) == later + .milliseconds(500))
        bucket.giveBack(1_000_000)
        #expect(bucket.take(500_000, now: later) == nil)
    }

    @Test(arguments: [8_000, 1_000_000, 1_250_000_000])
    func theRateIsKept(bytesPerSecond: Int) throws {
        var credit = BandwidthCredit(BandwidthLimits([TokenBucket(bytesPerSecond: bytesPerSecond, now: start)]))
        let packet = min(60_000, max(160, bytesPerSecond / 1000))
        // The burst is gone after this.
        _ = flood(&credit, packet: packet, every: .microseconds(20), for: .seconds(1), from: start)
        let passed = flood(
            &credit, packet: packet, every: .microseconds(20), for: .seconds(4), from: start + .seconds(1))
        let expected = 4 * bytesPerSecond
        #expect(abs(passed - expected) <= expected / 50 + packet)
    }

    @Test func withoutALimitAllPasses() {
        var credit = BandwidthCredit()
        for _ in 0..<1000 {
            let passes = credit.spend(65_000, now: start)
            #expect(passes)
        }
    }

    @Test func theLargestPacketPassesTheNarrowestLimit() {
        var credit = BandwidthCredit(BandwidthLimits([TokenBucket(bytesPerSecond: 1, now: start)]))
        let passes = [start, start, start + .seconds(65_000)].map { credit.spend(65_000, now: $0) }
        #expect(passes == [true, false, true])
    }

    @Test func allocationsShareTheirUsersTenantsAndNodesLimits() throws {
        var quota = AllocationQuota(
            RelayQuotas(
                maxAllocations: 10, maxAllocationsPerUser: 10, maxBytesPerSecond: 4_000_000,
                maxBytesPerSecondPerTenant: 3_000_000, maxBytesPerSecondPerUser: 2_000_000), now: start)
        var first = try quota.reserve(for: alice, now: start).get()
        var second = try quota.reserve(for: alice, now: start).get()
        var others = try quota.reserve(for: bob, now: start).get()
        var stranger = try quota.reserve(for: UserAddress(tenant: Tenant("t")!, user: "eve")!, now: start).get()
        var passed = [0, 0, 0, 0]
        var now = start + .seconds(1)
        let end = start + .seconds(5)
        while now < end {
            if first.spend(1000, now: now) { passed[0] += 1000 }
            if second.spend(1000, now: now) { passed[1] += 1000 }
            if others.spend(1000, now: now) { passed[2] += 1000 }
            if stranger.spend(1000, now: now) { passed[3] += 1000 }
            now = now + .microseconds(100)
        }
        // Four seconds and the buckets' second.
        #expect(passed[0] + passed[1] <= 5 * 2_000_000)
        #expect(passed[0] + passed[1] + passed[2] <= 5 * 3_000_000)
        let total = passed.reduce(0, +)
        #expect(total <= 20_000_000)
        #expect(total >= 14_400_000)
        #expect(passed.allSatisfy { $0 > 0 })
    }

    @Test func whatIsTakenFromOneBucketInVainComesBack() {
        let wide = TokenBucket(bytesPerSecond: 1_000_000, now: start)
        let narrow = TokenBucket(bytesPerSecond: 1_000, now: start)
        guard let limits = BandwidthLimits([wide, narrow]) else { preconditionFailure() }
        #expect(limits.draw(65_000, now: start) == nil)
        // Of the wide one 536 bytes are left, of the narrow one too.
        #expect(limits.draw(537, now: start + .microseconds(1)) != nil)
        #expect(wide.take(536, now: start) == nil)
    }

    /// Coming back again and again must not give a full bucket each time.
    @Test func aNewAllocationBeginsWithLittle() throws {
        var quota = AllocationQuota(
            RelayQuotas(maxAllocations: 10, maxAllocationsPerUser: 10, maxBytesPerSecondPerUser: 10_000_000), now: start
        )
        var passed = 0
        for _ in 0..<10 {
            var credit = try quota.reserve(for: alice, now: start).get()
            while credit.spend(1000, now: start) { passed += 1000 }
            quota.release(for: alice)
        }
        #expect(passed <= 10 * TokenBucket.minBurstByteCount)
    }
}
