package import Base

/// What a receiver knows of a stream: how much came, how much did not, and how evenly (RFC 3550 sections 6.4.1, A.1,
/// A.3, A.8).
package struct RTPReceptionStatistics: Equatable, Sendable {
    /// How far a packet may be behind the newest and still be told from a repetition.
    private static let windowCount: UInt32 = 64

    private let clockRate: Int64
    private var first: UInt32?
    /// With the number of wraps in the upper half.
    package private(set) var highestSequenceNumber: UInt32 = 0
    /// Bit n: the packet n behind the highest has come.
    private var window: UInt64 = 0
    /// Packets that came, each counted once.
    package private(set) var received: UInt64 = 0
    package private(set) var duplicates: UInt64 = 0
    package private(set) var outOfOrder: UInt64 = 0
    private var lastTransit: Int64?
    /// In 1/16 of the clock's unit.
    private var scaledJitter: Int64 = 0
    private var reported: (expected: UInt64, received: UInt64) = (0, 0)

    package static func == (left: Self, right: Self) -> Bool {
        left.received == right.received && left.highestSequenceNumber == right.highestSequenceNumber
            && left.scaledJitter == right.scaledJitter && left.duplicates == right.duplicates
    }

    package init(clockRate: Int) { self.clockRate = Int64(clockRate) }

    /// Packets that must have been sent, going by the sequence numbers.
    package var expected: UInt64 { first.map { UInt64(highestSequenceNumber &- $0) + 1 } ?? 0 }

    package var lost: UInt64 { expected > received ? expected - received : 0 }

    /// Mean deviation of the spacing on arrival from that on sending.
    package var jitter: Duration {
        // In two steps: a peer chooses the timestamps, and the product of the whole would not fit.
        let (seconds, rest) = scaledJitter.quotientAndRemainder(dividingBy: 16 * clockRate)
        return .seconds(seconds) + .nanoseconds(rest * 1_000_000_000 / (16 * clockRate))
    }

    /// In units of the stream's clock.
    package var jitterInClockUnits: UInt32 { UInt32(clamping: scaledJitter / 16) }

    /// Counts a packet.
    ///
    /// - Returns: false for a repetition.
    @discardableResult
    package mutating func receive(_ packet: RTPPacket, at arrival: MonotonicInstant) -> Bool {
        guard first != nil else {
            first = UInt32(packet.sequenceNumber)
            highestSequenceNumber = UInt32(packet.sequenceNumber)
            window = 1
            received = 1
            measureJitter(packet.timestamp, arrival)
            return true
        }
        let step = Int16(bitPattern: packet.sequenceNumber &- UInt16(truncatingIfNeeded: highestSequenceNumber))
        if step > 0 {
            highestSequenceNumber &+= UInt32(step)
            window = step < Self.windowCount ? window << UInt64(step) | 1 : 1
        } else {
            let behind = UInt32(-Int32(step))
            // Too late to tell whether it has come before: not counted, so that loss is never understated.
            guard behind < Self.windowCount, window & 1 << UInt64(behind) == 0 else {
                duplicates += 1
                return false
            }
            window |= 1 << UInt64(behind)
            outOfOrder += 1
        }
        received += 1
        measureJitter(packet.timestamp, arrival)
        return true
    }

    private mutating func measureJitter(_ timestamp: UInt32, _ arrival: MonotonicInstant) {
        let (seconds, rest) = arrival.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let units = Int64(seconds) * clockRate + Int64(rest) * clockRate / 1_000_000_000
        let transit = Int64(Int32(truncatingIfNeeded: units &- Int64(timestamp)))
        if let lastTransit {
            let deviation = abs(Int64(Int32(truncatingIfNeeded: transit &- lastTransit)))
            scaledJitter += deviation - (scaledJitter + 8) / 16
        }
        lastTransit = transit
    }

    /// Of the packets since this was last asked, how many did not come, in 1/256.
    package mutating func takeFractionLost() -> UInt8 {
        let (newlyExpected, newlyReceived) = (expected - reported.expected, received - reported.received)
        reported = (expected, received)
        guard newlyExpected > newlyReceived else { return 0 }
        return UInt8(clamping: (newlyExpected - newlyReceived) * 256 / newlyExpected)
    }
}
