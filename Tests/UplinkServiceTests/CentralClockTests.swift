import Base
import Synchronization
import Testing

@testable import UplinkService

@Suite struct CentralClockTests {
    private static func instant(_ milliseconds: UInt64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: milliseconds * 1_000_000)
    }

    private final class TestTime: Sendable {
        let milliseconds = Atomic<UInt64>(0)
        func set(_ value: UInt64) { milliseconds.store(value, ordering: .relaxed) }
        var now: MonotonicInstant { instant(milliseconds.load(ordering: .relaxed)) }
    }

    @Test func halfTheRoundTripIsTheUncertainty() {
        let time = TestTime()
        let clock = CentralClock { time.now }
        time.set(1020)
        clock.record(
            centralTime: WallTime(milliseconds: 50_000), sent: Self.instant(1000), received: Self.instant(1020))
        // Read in the middle of the 20 ms, so 10 ms ago.
        #expect(clock.reading?.time == WallTime(milliseconds: 50_010))
        #expect(clock.reading?.uncertainty == .microseconds(10_500))
        time.set(2020)
        #expect(clock.reading?.time == WallTime(milliseconds: 51_010))
        #expect(clock.reading?.uncertainty == .microseconds(10_700))
        #expect(clock.reading(within: .milliseconds(10)) == nil)
        #expect(clock.reading(within: .milliseconds(11)) != nil)
    }

    @Test func theBetterSampleStays() {
        let time = TestTime()
        let clock = CentralClock { time.now }
        clock.record(centralTime: WallTime(milliseconds: 9000), sent: Self.instant(100), received: Self.instant(102))
        clock.record(centralTime: WallTime(milliseconds: 9150), sent: Self.instant(110), received: Self.instant(310))
        time.set(310)
        #expect((clock.reading?.uncertainty ?? .seconds(1)) < .milliseconds(2))
    }

    @Test func aSampleThatContradictsReplaces() {
        let time = TestTime()
        let clock = CentralClock { time.now }
        clock.record(centralTime: WallTime(milliseconds: 9000), sent: Self.instant(100), received: Self.instant(102))
        clock.record(centralTime: WallTime(milliseconds: 99_000), sent: Self.instant(110), received: Self.instant(130))
        time.set(130)
        #expect(clock.reading?.time == WallTime(milliseconds: 99_010))
    }

    @Test func nonsenseIsIgnored() {
        let clock = CentralClock { Self.instant(10) }
        clock.record(centralTime: WallTime(milliseconds: .max), sent: Self.instant(1), received: Self.instant(2))
        clock.record(centralTime: WallTime(milliseconds: 5), sent: Self.instant(9), received: Self.instant(2))
        #expect(clock.reading == nil)
    }

    @Test(arguments: ["skerry://c/eu/e", "skerry://c/central/x"])
    func identitiesAreURIs(uri: String) {
        #expect(NodeIdentity(uri: uri)?.uri == uri)
    }

    @Test(arguments: [
        "", "skerry://", "skerry://c/eu", "skerry://c/eu/e/f", "https://c/eu/e", "skerry://c//e", "skerry://c/e u/x",
    ])
    func otherURIsAreNone(uri: String) {
        #expect(NodeIdentity(uri: uri) == nil)
    }
}
