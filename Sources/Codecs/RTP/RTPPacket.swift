import Base

/// An RTP packet's header (RFC 3550 section 5.1), and where in the packet its parts lie.
package struct RTPPacket: Equatable, Sendable {
    package static let headerByteCount = 12

    package var marker: Bool
    /// 0 to 127.
    package var payloadType: UInt8
    package var sequenceNumber: UInt16
    /// In units of the codec's clock; 48 kHz for Opus (RFC 7587).
    package var timestamp: UInt32
    package var ssrc: UInt32
    /// The payload without padding; where the packet was read.
    package private(set) var payload: Range<Int>

    package init(marker: Bool, payloadType: UInt8, sequenceNumber: UInt16, timestamp: UInt32, ssrc: UInt32) {
        precondition(payloadType < 128)
        self.marker = marker
        self.payloadType = payloadType
        self.sequenceNumber = sequenceNumber
        self.timestamp = timestamp
        self.ssrc = ssrc
        payload = Self.headerByteCount..<Self.headerByteCount
    }

    /// Reads a packet; contributing sources and the header extension are stepped over.
    ///
    /// - Throws: for another version, or parts that do not lie within the packet.
    package init(_ bytes: RawSpan) throws(RTPError) {
        guard bytes.byteCount >= Self.headerByteCount else { throw .truncated }
        let first = bytes.bigEndian(at: 0, as: UInt8.self)
        let second = bytes.bigEndian(at: 1, as: UInt8.self)
        guard first >> 6 == 2 else { throw .notRTP }
        marker = second & 0x80 != 0
        payloadType = second & 0x7F
        sequenceNumber = bytes.bigEndian(at: 2, as: UInt16.self)
        timestamp = bytes.bigEndian(at: 4, as: UInt32.self)
        ssrc = bytes.bigEndian(at: 8, as: UInt32.self)
        var start = Self.headerByteCount + 4 * Int(first & 0x0F)
        if first & 0x10 != 0 {
            guard start + 4 <= bytes.byteCount else { throw .truncated }
            start += 4 + 4 * Int(bytes.bigEndian(at: start + 2, as: UInt16.self))
        }
        guard start <= bytes.byteCount else { throw .truncated }
        var end = bytes.byteCount
        if first & 0x20 != 0 {
            guard end > start else { throw .badPadding }
            let padding = Int(bytes.bigEndian(at: end - 1, as: UInt8.self))
            guard padding > 0, padding <= end - start else { throw .badPadding }
            end -= padding
        }
        payload = start..<end
    }

    /// The packet with the payload behind a header of 12 bytes.
    package func encoded(payload: some Collection<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerByteCount + payload.count)
        bytes.append(2 << 6)
        bytes.append((marker ? 0x80 : 0) | payloadType)
        bytes.append(bigEndian: sequenceNumber)
        bytes.append(bigEndian: timestamp)
        bytes.append(bigEndian: ssrc)
        bytes += payload
        return bytes
    }
}

/// Why bytes are not an RTP or RTCP packet.
package enum RTPError: Error, Equatable, Sendable {
    case truncated
    case notRTP
    case badPadding
}
