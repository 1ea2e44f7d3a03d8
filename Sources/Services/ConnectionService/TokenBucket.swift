import Base

/// Allows so many events a second, and bursts.
struct TokenBucket {
    private let perSecond: Double
    private let burst: Double
    private var level: Double
    private var updated: MonotonicInstant

    init(perSecond: Int, burst: Int, now: MonotonicInstant) {
        self.perSecond = Double(perSecond)
        self.burst = Double(burst)
        level = Double(burst)
        updated = now
    }

    mutating func take(now: MonotonicInstant) -> Bool {
        level = min(burst, level + Double((now - updated).nanoseconds) / 1e9 * perSecond)
        updated = now
        guard level >= 1 else { return false }
        level -= 1
        return true
    }
}
