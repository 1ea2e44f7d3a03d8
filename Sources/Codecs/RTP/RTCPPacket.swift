import Base

/// The RTCP packets that tell of loss, delay and the end (RFC 3550 section 6).
package enum RTCPPacket: Equatable, Sendable {
    case senderReport(SenderReport)
    case receiverReport(ssrc: UInt32, blocks: [ReportBlock])
    case goodbye(ssrcs: [UInt32])
    /// A type that we do not read.
    case other(UInt8)

    package struct SenderReport: Equatable, Sendable {
        package var ssrc: UInt32
        /// When the report was sent, in 2^-32 s of the sender's clock.
        package var ntpTimestamp: UInt64
        package var rtpTimestamp: UInt32
        /// Packets and payload bytes since the stream began.
        package var packetCount: UInt32
        package var byteCount: UInt32
        /// At most 31.
        package var blocks: [ReportBlock]

        package init(
            ssrc: UInt32, ntpTimestamp: UInt64, rtpTimestamp: UInt32, packetCount: UInt32, byteCount: UInt32,
            blocks: [ReportBlock]
        ) {
            self.ssrc = ssrc
            self.ntpTimestamp = ntpTimestamp
            self.rtpTimestamp = rtpTimestamp
            self.packetCount = packetCount
            self.byteCount = byteCount
            self.blocks = blocks
        }
    }

    /// How a stream is received.
    package struct ReportBlock: Equatable, Sendable {
        static let byteCount = 24

        package var ssrc: UInt32
        /// Of the packets since the last report, in 1/256.
        package var fractionLost: UInt8
        /// Since the stream began; negative when packets came twice.
        package var cumulativeLost: Int32
        package var highestSequenceNumber: UInt32
        /// In units of the stream's clock.
        package var jitter: UInt32
        /// The middle 32 bits of the last sender report's time; 0 where none came.
        package var lastSenderReport: UInt32
        /// Between that report's arrival and this block, in 1/65,536 s.
        package var delaySinceLastSenderReport: UInt32

        package init(
            ssrc: UInt32, fractionLost: UInt8, cumulativeLost: Int32, highestSequenceNumber: UInt32, jitter: UInt32,
            lastSenderReport: UInt32, delaySinceLastSenderReport: UInt32
        ) {
            self.ssrc = ssrc
            self.fractionLost = fractionLost
            self.cumulativeLost = cumulativeLost
            self.highestSequenceNumber = highestSequenceNumber
            self.jitter = jitter
            self.lastSenderReport = lastSenderReport
            self.delaySinceLastSenderReport = delaySinceLastSenderReport
        }

        /// Round trip in 1/65,536 s (RFC 3550 section 6.4.1), for a block about our own stream.
        ///
        /// - Parameter arrival: the middle 32 bits of our clock when the block came.
        /// - Returns: nil where no sender report of ours had come, or the numbers cannot be.
        package func roundTrip(arrival: UInt32) -> UInt32? {
            guard lastSenderReport != 0 else { return nil }
            let roundTrip = arrival &- lastSenderReport &- delaySinceLastSenderReport
            return roundTrip < 1 << 31 ? roundTrip : nil
        }
    }

    /// Whether a packet of a stream shared by both is RTCP (RFC 5761 section 4).
    package static func isRTCP(_ bytes: RawSpan) -> Bool {
        bytes.byteCount >= 2 && (192...223).contains(bytes.bigEndian(at: 1, as: UInt8.self))
    }
}
