public import Base

/// The ChannelData message of RFC 8656 section 12.4: a channel number, a length, and the application's bytes.
public enum ChannelData {
    public static let headerByteCount = 4
    /// The numbers that a client may bind (RFC 8656 section 12).
    public static let channelNumbers: ClosedRange<UInt16> = 0x4000...0x4FFF
    /// The numbers of RFC 5766, which older clients choose from.
    public static let formerChannelNumbers: ClosedRange<UInt16> = 0x4000...0x7FFF

    public struct Header: Equatable, Sendable {
        public let channel: UInt16
        /// Where the application's bytes stand.
        public let payload: Range<Int>

        @inlinable
        public init(channel: UInt16, payload: Range<Int>) {
            self.channel = channel
            self.payload = payload
        }
    }

    /// Reads the header of a datagram; nil unless the number is or was a channel's and the payload is there. Bytes after the
    /// payload are padding, which a client may send over UDP too.
    @inlinable
    public static func read(_ datagram: RawSpan) -> Header? {
        guard datagram.byteCount >= headerByteCount else { return nil }
        let channel = datagram.bigEndian(at: 0, as: UInt16.self)
        let count = Int(datagram.bigEndian(at: 2, as: UInt16.self))
        guard formerChannelNumbers.contains(channel), count <= datagram.byteCount - headerByteCount else { return nil }
        return Header(channel: channel, payload: headerByteCount..<headerByteCount + count)
    }

    /// Writes the four bytes that stand before `payloadCount` bytes of payload.
    @inlinable
    public static func writeHeader(channel: UInt16, payloadCount: Int, into buffer: UnsafeMutableRawBufferPointer) {
        precondition(buffer.count >= headerByteCount && payloadCount <= Int(UInt16.max))
        buffer.storeBytes(of: channel.bigEndian, toByteOffset: 0, as: UInt16.self)
        buffer.storeBytes(of: UInt16(payloadCount).bigEndian, toByteOffset: 2, as: UInt16.self)
    }
}
