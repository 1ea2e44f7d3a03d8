import Base
import RTP
import Testing

@Suite struct RTPReceptionStatisticsTests {
    private func packet(_ sequenceNumber: UInt16, timestamp: UInt32 = 0) -> RTPPacket {
        RTPPacket(marker: false, payloadType: 111, sequenceNumber: sequenceNumber, timestamp: timestamp, ssrc: 1)
    }

    private func receive(_ numbers: [UInt16]) -> RTPReceptionStatistics {
        var statistics = RTPReceptionStatistics(clockRate: 48_000)
        for number in numbers { statistics.receive(packet(number), at: MonotonicInstant(nanoseconds: 1_000_000)) }
        return statistics
    }

    @Test(
        arguments: [
            ([5], 1, 1, 0, 0),
            ([5, 6, 7], 3, 3, 0, 0),
            ([5, 7, 8], 4, 3, 1, 0),
            ([5, 7, 6], 3, 3, 0, 0),
            ([5, 6, 6, 7, 5], 3, 3, 0, 2),
            ([65534, 65535, 0, 1], 4, 4, 0, 0),
            ([65535, 2], 4, 2, 2, 0),
            ([10, 500, 11], 491, 2, 489, 1),
        ] as [([UInt16], UInt64, UInt64, UInt64, UInt64)])
    func counts(numbers: [UInt16], expected: UInt64, received: UInt64, lost: UInt64, duplicates: UInt64) {
        let statistics = receive(numbers)
        #expect(statistics.expected == expected)
        #expect(statistics.received == received)
        #expect(statistics.lost == lost)
        #expect(statistics.duplicates == duplicates)
    }

    @Test func fractionsAreSinceTheLastReport() {
        var statistics = receive([0, 1, 3])
        #expect(statistics.takeFractionLost() == 64)
        #expect(statistics.takeFractionLost() == 0)
        statistics.receive(packet(5), at: MonotonicInstant(nanoseconds: 2_000_000))
        #expect(statistics.takeFractionLost() == 128)
        #expect(statistics.lost == 2)
    }

    @Test func evenArrivalHasNoJitterAndUnevenHas() {
        var (even, uneven) = (RTPReceptionStatistics(clockRate: 48_000), RTPReceptionStatistics(clockRate: 48_000))
        for index in 0..<200 {
            let packet = packet(UInt16(index), timestamp: 0xFFFF_F000 &+ UInt32(index * 960))
            let time = UInt64(5_000_000_000 + index * 20_000_000)
            even.receive(packet, at: MonotonicInstant(nanoseconds: time))
            uneven.receive(packet, at: MonotonicInstant(nanoseconds: time + UInt64(index % 2) * 2_000_000))
        }
        #expect(even.jitter < .microseconds(50))
        #expect(uneven.jitter > .microseconds(1900))
        #expect(uneven.jitter < .microseconds(2100))
    }

    /// The timestamps are the peer's.
    @Test func anyTimestampHasAJitter() {
        var statistics = RTPReceptionStatistics(clockRate: 48_000)
        for index in 0..<2000 {
            let packet = packet(UInt16(index), timestamp: index % 2 == 0 ? 0 : 0x7FFF_FFFF)
            statistics.receive(packet, at: MonotonicInstant(nanoseconds: 0))
        }
        #expect(statistics.jitter > .seconds(40_000))
        #expect(statistics.jitter < .seconds(45_000))
    }
}
