public import Base

/// Finds the messages in a byte stream: STUN, which says how long it is, and ChannelData, which is padded to a multiple of
/// four there (RFC 8656 sections 3.1 and 12.5). Copies nothing and remembers nothing.
public struct STUNStreamFramer: Sendable {
    /// The longest message that a peer may send, in bytes; one that announces more is malformed.
    public var maxMessageByteCount: Int

    public init(maxMessageByteCount: Int) {
        self.maxMessageByteCount = maxMessageByteCount
    }

    /// A message at the front of the bytes.
    public struct Frame: Equatable, Sendable {
        /// Bytes of the message without padding, as it would be in a datagram.
        public let messageByteCount: Int
        /// Bytes to take from the stream: the message and its padding.
        public let byteCount: Int

        @inlinable
        init(messageByteCount: Int, byteCount: Int) {
            self.messageByteCount = messageByteCount
            self.byteCount = byteCount
        }
    }

    /// The first message; nil while it is not whole.
    ///
    /// - Throws: what the bytes cannot become: `.notSTUN`, `.badLength` or `.tooLong`. The stream cannot be read any further.
    @inlinable
    public func next(_ bytes: RawSpan) throws(STUNError) -> Frame? {
        guard !bytes.isEmpty else { return nil }
        let frame: Frame
        let kind = DatagramKind(firstByte: bytes.bigEndian(at: 0, as: UInt8.self))
        guard kind != .other else { throw .notSTUN }
        guard bytes.byteCount >= 4 else { return nil }
        let length = Int(bytes.bigEndian(at: 2, as: UInt16.self))
        if kind == .stun {
            guard length % 4 == 0 else { throw .badLength }
            frame = Frame(messageByteCount: STUNHeader.byteCount + length, byteCount: STUNHeader.byteCount + length)
        } else {
            let count = ChannelData.headerByteCount + length
            frame = Frame(messageByteCount: count, byteCount: STUNHeader.padded(count))
        }
        // What is wrong is told in the order of the bytes, however they arrive.
        guard frame.messageByteCount <= maxMessageByteCount else { throw .tooLong }
        guard kind != .stun || bytes.byteCount < 8 || bytes.bigEndian(at: 4, as: UInt32.self) == STUNHeader.magicCookie
        else { throw .notSTUN }
        return frame.byteCount <= bytes.byteCount ? frame : nil
    }
}
