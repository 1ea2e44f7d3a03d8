public import Base

/// The buckets that an allocation's traffic goes against: its user's, its tenant's, the node's, as far as they are limited.
public final class BandwidthLimits: Sendable {
    private let buckets: [TokenBucket]
    /// What is drawn at a time: 20 ms of the narrowest, so that what an idle allocation holds is little.
    let chunkByteCount: Int

    /// - Returns: nil where nothing is limited.
    init?(_ buckets: [TokenBucket]) {
        guard let narrowest = buckets.map(\.bytesPerSecond).min() else { return nil }
        self.buckets = buckets
        chunkByteCount = min(narrowest / 50, 65_536)
    }

    /// Takes the bytes out of every bucket, or out of none.
    ///
    /// - Returns: nil if they were there; otherwise when to ask again.
    func draw(_ count: Int, now: MonotonicInstant) -> MonotonicInstant? {
        for (index, bucket) in buckets.enumerated() {
            guard let retryAt = bucket.take(count, now: now) else { continue }
            for taken in buckets[..<index] { taken.giveBack(count) }
            return retryAt
        }
        return nil
    }
}

/// What an allocation may still relay before it has to ask its limits again. Packets are counted here, so that they cost a
/// subtraction; the shared buckets are asked once for a chunk of them.
public struct BandwidthCredit: Sendable {
    private var byteCount = 0
    /// While the buckets are empty nobody asks them.
    private var emptyUntil = MonotonicInstant(nanoseconds: 0)
    public let limits: BandwidthLimits?

    /// - Parameter limits: nil for none.
    public init(_ limits: BandwidthLimits? = nil) { self.limits = limits }

    /// Counts application bytes that are about to be relayed, either way.
    ///
    /// - Returns: false if they are over the limit, and not to be relayed.
    @inline(__always)
    mutating func spend(_ count: Int, now: MonotonicInstant) -> Bool {
        guard count > byteCount else {
            byteCount -= count
            return true
        }
        return draw(count, now: now)
    }

    /// The same for bytes that can wait, at most `TokenBucket.minBurstByteCount`.
    ///
    /// - Returns: nil if they may be relayed now, and are counted; else after how long to ask again.
    public mutating func delay(for count: Int, now: MonotonicInstant) -> Duration? {
        spend(count, now: now) ? nil : max(.milliseconds(1), emptyUntil - now)
    }

    @inline(never)
    private mutating func draw(_ count: Int, now: MonotonicInstant) -> Bool {
        guard let limits else {
            byteCount = .max
            return true
        }
        guard now >= emptyUntil else { return false }
        let missing = count - byteCount
        if limits.chunkByteCount > missing, limits.draw(limits.chunkByteCount, now: now) == nil {
            byteCount += limits.chunkByteCount - count
            return true
        }
        // The last bytes of a second go one by one.
        if let retryAt = limits.draw(missing, now: now) {
            emptyUntil = retryAt
            return false
        }
        byteCount = 0
        return true
    }
}
