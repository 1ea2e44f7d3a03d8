import Base

/// Delays before further attempts: doubled each time up to a bound, the upper half random, so that clients which lost the
/// same server do not come back together.
struct Backoff {
    private let first: Int64
    private let bound: Int64
    private(set) var attempts = 0

    init(firstDelayMs: Int64, maxDelayMs: Int64) {
        first = firstDelayMs
        bound = maxDelayMs
    }

    mutating func next() -> Duration {
        let delay = min(bound, first << Int64(min(attempts, 20)))
        attempts += 1
        return .milliseconds(delay / 2 + Int64.random(in: 0...max(1, delay / 2)))
    }

    /// Something worked: the next failure is a first one.
    mutating func reset() { attempts = 0 }
}
