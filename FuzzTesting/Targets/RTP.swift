import Base
import RTP

extension FuzzTarget {
    /// RTP packets, and what a receiver counts of them.
    static let rtp = FuzzTarget("rtp") { input throws(BrokenProperty) in
        _ = RTCPPacket.isRTCP(input.span.bytes)
        guard let packet = try? RTPPacket(input.span.bytes) else { return }
        let payload = packet.payload
        let body = RTPPacket.headerByteCount...input.count
        try hold(body.contains(payload.lowerBound) && body.contains(payload.upperBound), "the payload \(payload)")
        let written = packet.encoded(payload: input[payload])
        let again = try held("what was written is refused") { () throws(RTPError) in
            try RTPPacket(written.span.bytes)
        }
        try hold(
            again.marker == packet.marker && again.payloadType == packet.payloadType
                && again.sequenceNumber == packet.sequenceNumber && again.timestamp == packet.timestamp
                && again.ssrc == packet.ssrc && written[again.payload].elementsEqual(input[payload]),
            "another packet was written")
        try checkStatistics(packet, input)
    }

    /// A stream of packets whose sequence numbers, timestamps and arrivals are drawn from the bytes.
    private static func checkStatistics(_ packet: RTPPacket, _ input: [UInt8]) throws(BrokenProperty) {
        var statistics = RTPReceptionStatistics(clockRate: 48_000)
        var packet = packet
        var now = MonotonicInstant(nanoseconds: UInt64(packet.ssrc) << 31)
        var count: UInt64 = 0
        for bytes in input[packet.payload].chunks(of: 4) {
            packet.sequenceNumber &+= UInt16(bytes[0]) << 8 | UInt16(bytes[1])
            packet.timestamp &+= UInt32(bytes[2]) << UInt32(bytes[3] & 31)
            now.nanoseconds &+= UInt64(bytes[3]) << UInt64(bytes[2] & 63)
            statistics.receive(packet, at: now)
            count += 1
            if bytes[0] & 1 == 0 { _ = statistics.takeFractionLost() }
        }
        _ = (statistics.jitter, statistics.jitterInClockUnits)
        try hold(statistics.received + statistics.duplicates == count, "packets that were not counted")
        // Packets before the first of all are counted and were not expected.
        try hold(statistics.lost <= statistics.expected, "\(statistics.lost) lost of \(statistics.expected)")
    }

    /// Compound RTCP packets.
    static let rtcp = FuzzTarget("rtcp") { input throws(BrokenProperty) in
        guard let packets = try? RTCPPacket.parse(input.span.bytes) else { return }
        let known = packets.filter { packet in
            if case .other = packet { false } else { true }
        }
        guard !known.isEmpty else { return }
        let written = RTCPPacket.encode(known)
        let again = try held("what was written is refused") { () throws(RTPError) in
            try RTCPPacket.parse(written.span.bytes)
        }
        try holdEqual(again, known, "the packets that were written")
        try hold(RTCPPacket.isRTCP(written.span.bytes), "RTCP is not known as such")
        for case .receiverReport(_, let blocks) in known {
            for block in blocks { _ = block.roundTrip(arrival: 1 << 20) }
        }
    }
}

extension ArraySlice<UInt8> {
    /// Whole groups of bytes; a shorter rest is left out.
    fileprivate func chunks(of count: Int) -> [[UInt8]] {
        stride(from: startIndex, to: endIndex, by: count).compactMap { start in
            start + count <= endIndex ? Array(self[start..<start + count]) : nil
        }
    }
}
