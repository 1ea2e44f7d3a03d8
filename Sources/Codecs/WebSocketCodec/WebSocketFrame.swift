import Base

/// The kinds of frames of RFC 6455 section 5.2.
public enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    var isControl: Bool { rawValue & 0x8 != 0 }
}

/// Which end of the connection this is: a client masks what it sends, a server must not (RFC 6455 section 5.1).
public enum WebSocketRole: Sendable {
    case client, server
}

/// Writes frames.
public enum WebSocketFrame {
    /// The largest payload of a control frame (RFC 6455 section 5.5).
    public static let maxControlPayloadBytes = 125

    /// What stands before the longest payload, with a mask.
    public static let maxHeaderBytes = 14

    /// Appends one whole frame.
    ///
    /// - Parameter mask: the masking key, drawn at random for each frame, if this is a client; nil for a server.
    /// - Precondition: the payload of a control frame has at most 125 bytes.
    public static func append(
        _ opcode: WebSocketOpcode, payload: UnsafeRawBufferPointer, mask: UInt32?, to output: inout [UInt8]
    ) {
        precondition(!opcode.isControl || payload.count <= maxControlPayloadBytes, "a control frame is small")
        let needed = output.count + payload.count + maxHeaderBytes
        if needed > output.capacity { output.reserveCapacity(max(needed, 2 * output.capacity)) }
        output.append(0x80 | opcode.rawValue)
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        switch payload.count {
        case ...125:
            output.append(maskBit | UInt8(payload.count))
        case ...0xFFFF:
            output.append(maskBit | 126)
            output.append(bigEndian: UInt16(payload.count))
        default:
            output.append(maskBit | 127)
            output.append(bigEndian: UInt64(payload.count))
        }
        guard let mask else {
            output.append(contentsOf: payload)
            return
        }
        output.append(bigEndian: mask)
        let start = output.count
        output.append(contentsOf: payload)
        output.withUnsafeMutableBytes { bytes in
            WebSocketMask(key: mask).apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
        }
    }

    /// Appends one whole frame, as above.
    public static func append(_ opcode: WebSocketOpcode, payload: [UInt8], mask: UInt32?, to output: inout [UInt8]) {
        payload.withUnsafeBytes { append(opcode, payload: $0, mask: mask, to: &output) }
    }

    /// The payload of a close frame, its reason cut at 123 bytes between characters.
    public static func closePayload(code: UInt16, reason: String) -> [UInt8] {
        var payload: [UInt8] = []
        payload.append(bigEndian: code)
        for character in reason.unicodeScalars {
            let bytes = Array(String(character).utf8)
            guard payload.count + bytes.count <= maxControlPayloadBytes else { break }
            payload.append(contentsOf: bytes)
        }
        return payload
    }
}
