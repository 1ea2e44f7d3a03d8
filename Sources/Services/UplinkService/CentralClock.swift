package import Base
import Synchronization

/// The central's clock as an edge knows it: an offset over the edge's monotonic clock, with its uncertainty.
///
/// A sample is a question and its answer: the central read its clock at some moment between the two, so that half the round trip is
/// the uncertainty. It grows with the drift of the two clocks until a better sample comes.
package final class CentralClock: Sendable {
    package struct Reading: Equatable, Sendable {
        package let time: WallTime
        /// The central's clock shows `time`, give or take this.
        package let uncertainty: Duration

        package init(time: WallTime, uncertainty: Duration) {
            self.time = time
            self.uncertainty = uncertainty
        }

        /// What it shows at most: expiries are judged by it, so that doubt closes.
        package var latest: WallTime { time + uncertainty + .milliseconds(1) }
    }

    private struct Sample {
        var at: MonotonicInstant
        /// The central's clock at `at`, in nanoseconds since 1970.
        var time: Int64
        var uncertainty: Int64

        func grown(at now: MonotonicInstant) -> (time: Int64, uncertainty: Int64) {
            let age = (now - at).nanoseconds
            return (time + age, uncertainty + abs(age) / CentralClock.driftDivisor)
        }
    }

    /// Two clocks drift apart by less than 200 millionths.
    fileprivate static let driftDivisor: Int64 = 5000
    private let sample = Mutex<Sample?>(nil)
    private let now: @Sendable () -> MonotonicInstant

    /// - Parameter now: the edge's monotonic clock.
    package init(now: @escaping @Sendable () -> MonotonicInstant) {
        self.now = now
    }

    /// nil until the first answer of the central.
    package var reading: Reading? {
        let now = now()
        guard let (time, uncertainty) = sample.withLock({ $0?.grown(at: now) }) else { return nil }
        return Reading(time: WallTime(milliseconds: time / 1_000_000), uncertainty: .nanoseconds(uncertainty))
    }

    /// nil as well when the uncertainty exceeds the bound: the caller fails closed.
    package func reading(within bound: Duration) -> Reading? {
        reading.flatMap { $0.uncertainty <= bound ? $0 : nil }
    }

    /// Takes the central's reading of its clock, made between `sent` and `received`. Keeps what it has when that is more certain and
    /// does not contradict.
    package func record(centralTime: WallTime, sent: MonotonicInstant, received: MonotonicInstant) {
        let half = (received - sent).nanoseconds / 2
        guard half >= 0, abs(centralTime.milliseconds) < Int64.max / 2_000_000 else { return }
        // The reading is in whole milliseconds, rounded down.
        let new = Sample(
            at: received, time: centralTime.milliseconds * 1_000_000 + 500_000 + half, uncertainty: half + 500_000)
        sample.withLock { current in
            guard let old = current?.grown(at: received) else {
                current = new
                return
            }
            let agrees = abs(old.time - new.time) <= old.uncertainty + new.uncertainty
            if !agrees || new.uncertainty <= old.uncertainty { current = new }
        }
    }
}
