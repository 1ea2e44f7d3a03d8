import Base
import Testing

@testable import RelayEngine

@Suite struct SourceRateLimiterTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)

    private static func address(_ prefix: UInt32) -> IPAddress { IPAddress(v4: prefix << 8 | 1) }

    /// Floods from thousands of prefixes: each has its rate at most, and hardly anybody else is taken for one of them.
    @Test func floodsFromManyPrefixes() {
        var limiter = SourceRateLimiter(perSecond: 10, burst: 20)
        var mostAnswers = 0
        for prefix in UInt32(0)..<1000 {
            let answers = (0..<50).count { _ in limiter.allows(Self.address(0x10_0000 + prefix), now: start) }
            mostAnswers = max(mostAnswers, answers)
        }
        #expect(mostAnswers == 20)
        let others = UInt32(0)..<1000
        let refused = others.count { !limiter.allows(Self.address(0x80_0000 + $0), now: start) }
        // By the sizes of the rows 1.3 of a hundred.
        #expect(refused < 50)
    }

    @Test func theRateIsKeptOverTime() {
        var limiter = SourceRateLimiter(perSecond: 10, burst: 20)
        var answers = 0
        for tick in 0..<10_000 {
            if limiter.allows(Self.address(7), now: start + .milliseconds(Int64(tick))) { answers += 1 }
        }
        // A burst, and ten seconds of the rate.
        #expect((115...121).contains(answers))
    }

    @Test func aMappedAddressIsTheSameSource() throws {
        var limiter = SourceRateLimiter(perSecond: 1, burst: 1)
        let plain = try #require(IPAddress("198.51.100.7"))
        let mapped = try #require(IPAddress("::ffff:198.51.100.9"))
        let counted = limiter.allows(plain, now: start)
        let again = limiter.allows(mapped, now: start)
        #expect(counted && !again)
    }
}
