/// What came in, whole: a message put together from its fragments, or a control frame.
public enum WebSocketEvent: Equatable, Sendable {
    case text(String)
    case binary([UInt8])
    case ping([UInt8])
    case pong([UInt8])
    /// No code stands for a close frame without one (1005 to whoever asks).
    case close(code: UInt16?, reason: String)
}

/// Takes frames apart and puts messages together (RFC 6455 section 5), within a bound, refusing at the first byte that
/// is wrong. It holds at most one message.
public struct WebSocketDecoder {
    private struct Frame {
        var opcode: WebSocketOpcode
        var isFinal: Bool
        var mask: UInt32?
        var length: Int
        var received = 0
    }

    private enum MessageKind {
        case text, binary
    }

    private let role: WebSocketRole
    private let maxMessageBytes: Int
    private var frame: Frame?
    private var messageKind: MessageKind?
    private var message: [UInt8] = []
    private var control: [UInt8] = []
    private var utf8 = UTF8Validator()

    /// - Parameter role: the end that decodes; a server takes masked frames only.
    public init(role: WebSocketRole, maxMessageBytes: Int) {
        self.role = role
        self.maxMessageBytes = maxMessageBytes
    }

    /// Goes on at `offset` and moves it behind what it has dealt with.
    ///
    /// - Returns: nil when more is needed: drop the bytes before `offset` and show what follows, from its beginning.
    public mutating func next(
        in bytes: UnsafeRawBufferPointer, from offset: inout Int
    ) throws(WebSocketError) -> WebSocketEvent? {
        while true {
            if frame == nil {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                guard let (header, count) = try parseHeader(rest) else { return nil }
                offset += count
                frame = header
            }
            let count = min((frame?.length ?? 0) - (frame?.received ?? 0), bytes.count - offset)
            try take(UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)]))
            offset += count
            guard let current = frame, current.received == current.length else { return nil }
            frame = nil
            if let event = try finish(current) { return event }
        }
    }

    private func parseHeader(_ bytes: UnsafeRawBufferPointer) throws(WebSocketError) -> (Frame, Int)? {
        guard bytes.count >= 2 else { return nil }
        guard bytes[0] & 0x70 == 0 else { throw .reservedBits }
        guard let opcode = WebSocketOpcode(rawValue: bytes[0] & 0x0F) else { throw .unknownOpcode }
        let isFinal = bytes[0] & 0x80 != 0
        let isMasked = bytes[1] & 0x80 != 0
        let shortLength = Int(bytes[1] & 0x7F)
        guard isMasked == (role == .server) else { throw .wrongMasking }
        switch opcode {
        case .close, .ping, .pong:
            guard isFinal else { throw .fragmentedControlFrame }
            guard shortLength <= WebSocketFrame.maxControlPayloadBytes else { throw .controlFrameTooLarge }
        case .continuation: guard messageKind != nil else { throw .unexpectedOpcode }
        case .text, .binary: guard messageKind == nil else { throw .unexpectedOpcode }
        }
        let lengthBytes = shortLength == 126 ? 2 : shortLength == 127 ? 8 : 0
        let headerBytes = 2 + lengthBytes + (isMasked ? 4 : 0)
        guard bytes.count >= headerBytes else { return nil }
        var length = UInt64(shortLength)
        if lengthBytes > 0 {
            length = bytes[2..<(2 + lengthBytes)].reduce(0) { $0 << 8 | UInt64($1) }
            guard length > (lengthBytes == 2 ? 125 : 0xFFFF), length <= UInt64(Int64.max) else {
                throw .malformedLength
            }
        }
        if !opcode.isControl {
            guard length <= UInt64(maxMessageBytes - message.count) else { throw .messageTooLarge }
        }
        let mask = isMasked ? bytes[(headerBytes - 4)..<headerBytes].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } : nil
        return (Frame(opcode: opcode, isFinal: isFinal, mask: mask, length: Int(length)), headerBytes)
    }

    /// Keeps a piece of the current frame's payload.
    private mutating func take(_ piece: UnsafeRawBufferPointer) throws(WebSocketError) {
        guard let current = frame, !piece.isEmpty else { return }
        frame?.received += piece.count
        if current.opcode.isControl {
            keep(piece, of: current, in: &control)
            return
        }
        let start = message.count
        keep(piece, of: current, in: &message)
        if current.opcode == .text || messageKind == .text {
            let isValid = message.withUnsafeBytes { utf8.check(UnsafeRawBufferPointer(rebasing: $0[start...])) }
            guard isValid else { throw .invalidUTF8 }
        }
    }

    private func keep(_ piece: UnsafeRawBufferPointer, of frame: Frame, in target: inout [UInt8]) {
        let start = target.count
        target.append(contentsOf: piece)
        guard let mask = frame.mask else { return }
        target.withUnsafeMutableBytes { bytes in
            applyMask(mask, phase: frame.received, to: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
        }
    }

    private mutating func finish(_ frame: Frame) throws(WebSocketError) -> WebSocketEvent? {
        switch frame.opcode {
        case .ping, .pong, .close:
            let payload = control
            control.removeAll(keepingCapacity: true)
            if frame.opcode == .close { return try closeEvent(payload) }
            return frame.opcode == .ping ? .ping(payload) : .pong(payload)
        case .text: messageKind = .text
        case .binary: messageKind = .binary
        case .continuation: break
        }
        guard frame.isFinal else { return nil }
        let isText = messageKind == .text
        let payload = message
        messageKind = nil
        message = []
        guard isText else { return .binary(payload) }
        guard utf8.isAtBoundary else { throw .invalidUTF8 }
        return .text(String(decoding: payload, as: UTF8.self))
    }

    private func closeEvent(_ payload: [UInt8]) throws(WebSocketError) -> WebSocketEvent {
        if payload.isEmpty { return .close(code: nil, reason: "") }
        guard payload.count >= 2 else { throw .malformedClose }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        guard isValidCloseCode(code) else { throw .malformedClose }
        guard let reason = String(validating: payload[2...], as: UTF8.self) else { throw .invalidUTF8 }
        return .close(code: code, reason: reason)
    }
}

/// The codes that may stand in a close frame (RFC 6455 section 7.4 and the IANA registry).
func isValidCloseCode(_ code: UInt16) -> Bool {
    switch code {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
}
