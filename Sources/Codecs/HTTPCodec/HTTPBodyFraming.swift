/// How the end of a message's body is found (RFC 9112 section 6.3).
public enum HTTPBodyFraming: Equatable, Sendable {
    /// No body, or one of a known number of bytes.
    case length(Int)
    case chunked
    /// Until the connection closes; responses only.
    case untilClose

    /// What Transfer-Encoding and Content-Length say, or nil when there is neither.
    static func declared(by fields: HTTPFields, isHTTP10: Bool) throws(HTTPParsingError) -> HTTPBodyFraming? {
        let codings = fields.values(of: "Transfer-Encoding")
        let lengths = fields.values(of: "Content-Length")
        if !codings.isEmpty {
            guard lengths.isEmpty, !isHTTP10 else { throw .ambiguousFraming }
            guard codings.count == 1, equalsIgnoringCase(codings[0], "chunked") else {
                throw .unsupportedTransferCoding
            }
            return .chunked
        }
        guard let length = lengths.first else { return nil }
        guard lengths.count == 1, let count = parseContentLength(length) else { throw .invalidContentLength }
        return .length(count)
    }
}

/// Digits alone; 18 of them fit.
private func parseContentLength(_ text: String) -> Int? {
    guard (1...18).contains(text.utf8.count) else { return nil }
    var count = 0
    for byte in text.utf8 {
        guard case 48...57 = byte else { return nil }
        count = count * 10 + Int(byte - 48)
    }
    return count
}
