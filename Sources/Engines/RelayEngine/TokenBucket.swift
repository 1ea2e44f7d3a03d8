public import Base
import Synchronization

/// A limit in bytes a second that all event loops share: one atomic, no lock.
///
/// It is kept as the time at which the bucket will be full again (the generic cell rate algorithm), so that nothing has to
/// fill it.
public final class TokenBucket: Sendable {
    /// What a bucket holds at least, so that the largest datagram can pass, and what it begins with, so that who comes back
    /// again and again does not find it full.
    public static let minBurstByteCount = 65_536

    public let bytesPerSecond: Int
    /// In nanoseconds.
    private let fullAt: Atomic<UInt64>
    /// How long a full bucket lasts, in nanoseconds: a second, or longer for the least burst.
    private let depth: UInt64

    /// - Parameter bytesPerSecond: 1 or more (precondition). As much may pass at once, at least `minBurstByteCount`.
    public init(bytesPerSecond: Int, now: MonotonicInstant) {
        precondition(bytesPerSecond > 0)
        self.bytesPerSecond = bytesPerSecond
        let least = Self.duration(of: Self.minBurstByteCount, bytesPerSecond)
        depth = max(1_000_000_000, least)
        fullAt = Atomic(now.nanoseconds + depth - least)
    }

    private static func duration(of count: Int, _ bytesPerSecond: Int) -> UInt64 {
        let (quotient, _) = UInt64(bytesPerSecond).dividingFullWidth(
            UInt64(count).multipliedFullWidth(by: 1_000_000_000))
        return quotient
    }

    /// Takes the bytes out of the bucket.
    ///
    /// - Parameter count: at most 2³², and at most `bytesPerSecond` or `minBurstByteCount`: more is never there.
    /// - Returns: nil if they were there; otherwise when they will be, and nothing is taken.
    func take(_ count: Int, now: MonotonicInstant) -> MonotonicInstant? {
        let cost = Self.duration(of: count, bytesPerSecond)
        var held = fullAt.load(ordering: .relaxed)
        while true {
            let next = max(held, now.nanoseconds) + cost
            guard next <= now.nanoseconds + depth else { return MonotonicInstant(nanoseconds: next - depth) }
            let (exchanged, original) = fullAt.weakCompareExchange(
                expected: held, desired: next, ordering: .relaxed)
            if exchanged { return nil }
            held = original
        }
    }

    func isFull(now: MonotonicInstant) -> Bool { fullAt.load(ordering: .relaxed) <= now.nanoseconds }

    /// Puts back what was taken in vain.
    func giveBack(_ count: Int) {
        _ = fullAt.subtract(Self.duration(of: count, bytesPerSecond), ordering: .relaxed)
    }
}
