import Base
import RTP
import Testing

@Suite struct RTPPacketTests {
    @Test func survives() throws {
        let packet = RTPPacket(
            marker: true, payloadType: 111, sequenceNumber: 0xFFFE, timestamp: 0xDEAD_BEEF, ssrc: 0x0102_0304)
        let bytes = packet.encoded(payload: [9, 8, 7])
        #expect(bytes == [0x80, 0xEF, 0xFF, 0xFE, 0xDE, 0xAD, 0xBE, 0xEF, 1, 2, 3, 4, 9, 8, 7])
        let read = try RTPPacket(bytes.span.bytes)
        #expect(read.marker)
        #expect(read.payloadType == 111)
        #expect(read.sequenceNumber == 0xFFFE)
        #expect(read.timestamp == 0xDEAD_BEEF)
        #expect(read.ssrc == 0x0102_0304)
        #expect(Array(bytes[read.payload]) == [9, 8, 7])
    }

    @Test func sourcesExtensionAndPaddingAreSteppedOver() throws {
        var bytes: [UInt8] = [0x80 | 0x20 | 0x10 | 2, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
        bytes += [UInt8](repeating: 0xCC, count: 8)
        bytes += [0xBE, 0xDE, 0, 1, 0x10, 1, 0, 0]
        bytes += [5, 6, 0, 0, 3]
        let packet = try RTPPacket(bytes.span.bytes)
        #expect(Array(bytes[packet.payload]) == [5, 6])
    }

    @Test(
        arguments: [
            ([], .truncated),
            ([UInt8](repeating: 0x80, count: 11), .truncated),
            ([0x40] + [UInt8](repeating: 0, count: 11), .notRTP),
            ([0x8F] + [UInt8](repeating: 0, count: 11), .truncated),
            ([0x90] + [UInt8](repeating: 0, count: 11), .truncated),
            ([0x90] + [UInt8](repeating: 0, count: 13) + [0xFF, 0xFF], .truncated),
            ([0xA0] + [UInt8](repeating: 0, count: 11), .badPadding),
            ([0xA0] + [UInt8](repeating: 0, count: 12), .badPadding),
            ([0xA0] + [UInt8](repeating: 0, count: 11) + [2], .badPadding),
        ] as [([UInt8], RTPError)])
    func malformed(bytes: [UInt8], error: RTPError) {
        #expect(throws: error) { try RTPPacket(bytes.span.bytes) }
    }

    @Test func reportsSurvive() throws {
        let block = RTCPPacket.ReportBlock(
            ssrc: 7, fractionLost: 12, cumulativeLost: -3, highestSequenceNumber: 0x0001_0002, jitter: 480,
            lastSenderReport: 0x1234_5678, delaySinceLastSenderReport: 65_536)
        let packets: [RTCPPacket] = [
            .senderReport(
                RTCPPacket.SenderReport(
                    ssrc: 1, ntpTimestamp: 0x0102_0304_0506_0708, rtpTimestamp: 9, packetCount: 10, byteCount: 11,
                    blocks: [block])),
            .receiverReport(ssrc: 2, blocks: [block, block]),
            .goodbye(ssrcs: [1, 2]),
        ]
        let bytes = RTCPPacket.encode(packets)
        #expect(RTCPPacket.isRTCP(bytes.span.bytes) == true)
        #expect(try RTCPPacket.parse(bytes.span.bytes) == packets)
        for count in 0..<bytes.count where count % 4 != 0 || count == 0 {
            let part = Array(bytes[..<count])
            #expect(throws: RTPError.self) { try RTCPPacket.parse(part.span.bytes) }
        }
        let rtp = RTPPacket(marker: true, payloadType: 111, sequenceNumber: 1, timestamp: 1, ssrc: 1).encoded(
            payload: [])
        #expect(RTCPPacket.isRTCP(rtp.span.bytes) == false)
    }

    @Test func roundTripByTheStandard() {
        var block = RTCPPacket.ReportBlock(
            ssrc: 7, fractionLost: 0, cumulativeLost: 0, highestSequenceNumber: 0, jitter: 0,
            lastSenderReport: 0xB705_2000, delaySinceLastSenderReport: 0x0005_4000)
        // The example of RFC 3550 section 6.4.1: 6.125 s.
        #expect(block.roundTrip(arrival: 0xB710_8000) == 0x0006_2000)
        block.lastSenderReport = 0
        #expect(block.roundTrip(arrival: 5) == nil)
    }
}
