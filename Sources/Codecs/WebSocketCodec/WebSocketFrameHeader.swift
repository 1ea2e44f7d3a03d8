/// What stands before a frame's payload (RFC 6455 section 5.2).
struct WebSocketFrameHeader {
    var opcode: WebSocketOpcode
    var isFinal: Bool
    var mask: UInt32?
    var length: UInt64

    /// Judges the first two bytes as soon as they are there, and the length before any payload is.
    ///
    /// - Parameter role: the end that decodes.
    /// - Returns: nil when more bytes are needed; else the header and its length.
    static func parse(
        _ bytes: UnsafeRawBufferPointer, role: WebSocketRole
    ) throws(WebSocketError) -> (WebSocketFrameHeader, count: Int)? {
        guard bytes.count >= 2 else { return nil }
        let first = bytes[0]
        let second = bytes[1]
        guard first & 0x70 == 0 else { throw .reservedBits }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw .unknownOpcode }
        let isFinal = first & 0x80 != 0
        let isMasked = second & 0x80 != 0
        guard isMasked == (role == .server) else { throw .wrongMasking }
        var length = UInt64(second & 0x7F)
        if opcode.isControl {
            guard isFinal else { throw .fragmentedControlFrame }
            guard length <= UInt64(WebSocketFrame.maxControlPayloadBytes) else { throw .controlFrameTooLarge }
        }
        var count = 2
        switch length {
        case 126:
            guard bytes.count >= 4 else { return nil }
            length = UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            guard length > 125 else { throw .malformedLength }
            count = 4
        case 127:
            guard bytes.count >= 10 else { return nil }
            length = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            guard length > 0xFFFF, length <= UInt64(Int64.max) else { throw .malformedLength }
            count = 10
        default: break
        }
        var mask: UInt32?
        if isMasked {
            guard bytes.count >= count + 4 else { return nil }
            mask = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: count, as: UInt32.self))
            count += 4
        }
        return (WebSocketFrameHeader(opcode: opcode, isFinal: isFinal, mask: mask, length: length), count)
    }
}
