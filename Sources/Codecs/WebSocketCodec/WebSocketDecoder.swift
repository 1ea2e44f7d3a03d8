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
/// is wrong. It holds at most one message, and nothing between two.
///
/// A message that is there whole costs one allocation, for its payload, which is unmasked on its way there.
public struct WebSocketDecoder {
    /// Bytes that a frame gets room for before they have come, on nothing but its header's word.
    private static let trustedBytes = 16 * 1024

    private let role: WebSocketRole
    private let maxMessageBytes: Int
    private let maxEmptyFragments: Int
    /// The frame whose payload comes next.
    private var frame: WebSocketFrameHeader?
    /// Bytes of that payload that have come.
    private var received = 0
    /// Text or binary, between a message's first fragment and its last.
    private var messageOpcode: WebSocketOpcode?
    private var message: [UInt8] = []
    private var control: [UInt8] = []
    private var emptyFragments = 0
    private var utf8 = UTF8Validator()

    /// - Parameters:
    ///   - role: the end that decodes; a server takes masked frames only.
    ///   - maxEmptyFragments: of one message. They cost no memory, but somebody could send them without end.
    public init(role: WebSocketRole, maxMessageBytes: Int, maxEmptyFragments: Int = 1000) {
        self.role = role
        self.maxMessageBytes = maxMessageBytes
        self.maxEmptyFragments = maxEmptyFragments
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
                guard let (header, count) = try WebSocketFrameHeader.parse(rest, role: role) else { return nil }
                try admit(header)
                frame = header
                received = 0
                offset += count
            }
            guard let current = frame else { return nil }
            let count = min(Int(current.length) - received, bytes.count - offset)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
            offset += count
            if current.isFinal, count == current.length, messageOpcode == nil, !current.opcode.isControl {
                frame = nil
                return try wholeMessage(current, piece)
            }
            try take(piece, of: current)
            guard received == current.length else { return nil }
            frame = nil
            if let event = try finish(current) { return event }
        }
    }

    /// Whether such a frame may come now.
    private mutating func admit(_ header: WebSocketFrameHeader) throws(WebSocketError) {
        if header.opcode.isControl { return }
        guard (header.opcode == .continuation) == (messageOpcode != nil) else { throw .unexpectedOpcode }
        guard header.length <= UInt64(maxMessageBytes - message.count) else { throw .messageTooLarge }
        if header.length == 0, !header.isFinal {
            emptyFragments += 1
            guard emptyFragments <= maxEmptyFragments else { throw .tooManyEmptyFragments }
        }
    }

    /// A message of one frame that is there to its end.
    private func wholeMessage(
        _ frame: WebSocketFrameHeader, _ payload: UnsafeRawBufferPointer
    ) throws(WebSocketError) -> WebSocketEvent {
        guard let start = payload.baseAddress, !payload.isEmpty else {
            return frame.opcode == .text ? .text("") : .binary([])
        }
        func copy(to target: UnsafeMutablePointer<UInt8>?) {
            guard let target = UnsafeMutableRawPointer(target) else { return }
            if let mask = frame.mask {
                WebSocketMask(key: mask).apply(from: start, to: target, count: payload.count)
            } else {
                target.copyMemory(from: start, byteCount: payload.count)
            }
        }
        if frame.opcode == .binary {
            return .binary(
                [UInt8](unsafeUninitializedCapacity: payload.count) { target, initialized in
                    copy(to: target.baseAddress)
                    initialized = payload.count
                })
        }
        var isValid = true
        let text = String(unsafeUninitializedCapacity: payload.count) { target in
            copy(to: target.baseAddress)
            var utf8 = UTF8Validator()
            isValid = utf8.check(UnsafeRawBufferPointer(start: target.baseAddress, count: payload.count))
            isValid = isValid && utf8.isAtBoundary
            return isValid ? payload.count : 0
        }
        guard isValid else { throw .invalidUTF8 }
        return .text(text)
    }

    /// Keeps a piece of the current frame's payload.
    private mutating func take(_ piece: UnsafeRawBufferPointer, of frame: WebSocketFrameHeader) throws(WebSocketError) {
        guard !piece.isEmpty else { return }
        let phase = received
        received += piece.count
        if frame.opcode.isControl {
            Self.append(piece, of: frame, phase: phase, to: &control)
            return
        }
        if phase == 0 {
            let expected = message.count + min(Int(frame.length), max(piece.count, Self.trustedBytes))
            if expected > message.capacity { message.reserveCapacity(max(expected, 2 * message.capacity)) }
        }
        let start = message.count
        Self.append(piece, of: frame, phase: phase, to: &message)
        if (messageOpcode ?? frame.opcode) == .text {
            let isValid = message.withUnsafeBytes { utf8.check(UnsafeRawBufferPointer(rebasing: $0[start...])) }
            guard isValid else { throw .invalidUTF8 }
        }
    }

    private static func append(
        _ piece: UnsafeRawBufferPointer, of frame: WebSocketFrameHeader, phase: Int, to target: inout [UInt8]
    ) {
        let start = target.count
        target.append(contentsOf: piece)
        guard let mask = frame.mask else { return }
        target.withUnsafeMutableBytes { bytes in
            WebSocketMask(key: mask, phase: phase).apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
        }
    }

    private mutating func finish(_ frame: WebSocketFrameHeader) throws(WebSocketError) -> WebSocketEvent? {
        if frame.opcode.isControl {
            let payload = control
            control = []
            switch frame.opcode {
            case .close: return try closeEvent(payload)
            case .ping: return .ping(payload)
            default: return .pong(payload)
            }
        }
        let opcode = messageOpcode ?? frame.opcode
        guard frame.isFinal else {
            messageOpcode = opcode
            return nil
        }
        let payload = message
        messageOpcode = nil
        message = []
        emptyFragments = 0
        guard opcode == .text else { return .binary(payload) }
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
