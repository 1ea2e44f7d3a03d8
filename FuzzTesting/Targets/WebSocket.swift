import WebSocketCodec

extension FuzzTarget {
    /// Frames of WebSockets as a server and as a client read them, and the check of UTF-8 in pieces.
    static let webSocket = FuzzTarget("websocket") { input throws(BrokenProperty) in
        try checkUTF8(input)
        for role in [WebSocketRole.server, .client] {
            for maxMessageBytes in [1 << 20, 60] {
                let events = try decodeFrames(input, role, maxMessageBytes)
                for case .value(let event) in events { try check(event, role, maxMessageBytes) }
            }
        }
        try checkHandshake(String(decoding: input, as: UTF8.self))
    }

    private static func decodeFrames(
        _ input: [UInt8], _ role: WebSocketRole, _ maxMessageBytes: Int
    ) throws(BrokenProperty) -> [Parsed<WebSocketEvent, WebSocketError>] {
        try decodeInPieces(input) {
            var decoder = WebSocketDecoder(role: role, maxMessageBytes: maxMessageBytes)
            return { (buffer: inout [UInt8], output: inout [Parsed<WebSocketEvent, WebSocketError>]) in
                var offset = 0
                let goesOn = buffer.withUnsafeBytes { bytes in
                    do throws(WebSocketError) {
                        while let event = try decoder.next(in: bytes, from: &offset) { output.append(.value(event)) }
                        return true
                    } catch {
                        output.append(.failure(error))
                        return false
                    }
                }
                buffer.removeFirst(offset)
                return goesOn
            }
        }
    }

    private static func check(
        _ event: WebSocketEvent, _ role: WebSocketRole, _ maxMessageBytes: Int
    ) throws(BrokenProperty) {
        var frame: [UInt8] = []
        let mask: UInt32? = role == .server ? 0x9A3B_51C7 : nil
        switch event {
        case .text(let text):
            try hold(text.utf8.count <= maxMessageBytes, "a text beyond the bound")
            WebSocketFrame.append(.text, payload: Array(text.utf8), mask: mask, to: &frame)
        case .binary(let bytes):
            try hold(bytes.count <= maxMessageBytes, "a message beyond the bound")
            WebSocketFrame.append(.binary, payload: bytes, mask: mask, to: &frame)
        case .ping(let bytes): WebSocketFrame.append(.ping, payload: bytes, mask: mask, to: &frame)
        case .pong(let bytes): WebSocketFrame.append(.pong, payload: bytes, mask: mask, to: &frame)
        case .close(let code, let reason):
            let payload = code.map { WebSocketFrame.closePayload(code: $0, reason: reason) } ?? []
            WebSocketFrame.append(.close, payload: payload, mask: mask, to: &frame)
        }
        try holdEqual(try decodeFrames(frame, role, maxMessageBytes), [.value(event)], "the frame that was written")
    }

    /// The validator, fed in any pieces, judges as the standard library does.
    private static func checkUTF8(_ input: [UInt8]) throws(BrokenProperty) {
        let isValid = String(validating: input, as: UTF8.self) != nil
        for pieces in [[input], input.map { [$0] }] {
            var validator = UTF8Validator()
            let goesOn = pieces.allSatisfy { piece in piece.withUnsafeBytes { validator.check($0) } }
            try holdEqual(goesOn && validator.isAtBoundary, isValid, "UTF-8 of \(input)")
        }
    }

    private static func checkHandshake(_ key: String) throws(BrokenProperty) {
        guard WebSocketHandshake.isKey(key) else { return }
        try hold(WebSocketHandshake.accept(for: key).utf8.count == 28, "an accept that is no SHA-1")
    }
}
