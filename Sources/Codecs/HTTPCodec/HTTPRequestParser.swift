/// The head of a request, and what it says about the message and the connection.
public struct HTTPRequestHead: Equatable, Sendable {
    public var request: HTTPRequest
    public var body: HTTPBodyFraming
    /// Whether the peer keeps the connection open behind this exchange (RFC 9112 section 9.3).
    public var keepsAlive: Bool
    /// Whether the peer waits for 100 before it sends the body (RFC 9110 section 10.1.1).
    public var expectsContinue: Bool
    /// A peer of HTTP/1.0 understands neither chunks nor interim answers.
    public var isHTTP10: Bool
}

/// Parses the head of a request strictly to RFC 9112: what different parsers might read differently is refused.
///
/// One parser serves one head. Bytes stay with the caller, who shows all of them from the head's first on at each call.
public struct HTTPRequestParser {
    private let maxTargetBytes: Int
    private var scanner: HeadScanner
    private var skipsEmptyLine = false

    public init(limits: HTTPHeadLimits = HTTPHeadLimits()) {
        maxTargetBytes = limits.maxTargetBytes
        scanner = HeadScanner(limits: limits)
    }

    /// - Parameter bytes: everything from the head's first byte on.
    /// - Returns: the head and its size in bytes, behind which the body begins; nil when more is needed.
    public mutating func parse(
        _ bytes: UnsafeRawBufferPointer
    ) throws(HTTPParsingError) -> (head: HTTPRequestHead, byteCount: Int)? {
        // One empty line before the request line is ignored (RFC 9112 section 2.2).
        if !skipsEmptyLine {
            guard let first = bytes.first else { return nil }
            if first == UInt8(ascii: "\r") {
                guard bytes.count >= 2 else { return nil }
                guard bytes[1] == UInt8(ascii: "\n") else { throw .bareLineBreak }
                skipsEmptyLine = true
            }
        }
        let skipped = skipsEmptyLine ? 2 : 0
        let rest = UnsafeRawBufferPointer(rebasing: bytes[skipped...])
        guard let count = try scanner.scan(rest) else { return nil }
        let head = try parseHead(UnsafeRawBufferPointer(rebasing: rest[..<count]), lines: scanner.lines)
        return (head, skipped + count)
    }

    private func parseHead(
        _ bytes: UnsafeRawBufferPointer, lines: Int
    ) throws(HTTPParsingError) -> HTTPRequestHead {
        let lines = HeadLines(bytes, lines: lines)
        let line = lines.startLine
        guard let space = line.firstIndex(of: 0x20), space > 0, line[..<space].allSatisfy(isTokenCharacter),
            line.count >= space + 1 + 1 + 1 + 8
        else { throw .malformedStartLine }
        let targetEnd = line.count - 9
        guard line[targetEnd] == 0x20 else { throw .malformedStartLine }
        let isHTTP10 = try parseVersion(line, at: targetEnd + 1) == 0
        guard targetEnd > space, line[(space + 1)..<targetEnd].allSatisfy(isTargetCharacter) else {
            throw .malformedTarget
        }
        guard targetEnd - space - 1 <= maxTargetBytes else { throw .startLineTooLong }
        var framing = FramingFields()
        var request = HTTPRequest(
            method: text(line, 0..<space), target: text(line, (space + 1)..<targetEnd),
            fields: try lines.fields(&framing))
        guard framing.hosts == 1 || framing.hosts == 0 && isHTTP10 else { throw .missingHost }
        guard !framing.hasInvalidHost else { throw .invalidHost }
        try Self.checkTarget(&request)
        let body = try framing.declaredBody(isHTTP10: isHTTP10) ?? .length(0)
        guard !framing.hasUnknownExpectation else { throw .unsupportedExpectation }
        return HTTPRequestHead(
            request: request, body: body, keepsAlive: framing.keepsAlive(isHTTP10: isHTTP10),
            expectsContinue: framing.expectations > 0 && !isHTTP10 && body != .length(0), isHTTP10: isHTTP10)
    }

    /// The target's form; the host of the absolute one overrides the field (RFC 9112 section 3.2).
    private static func checkTarget(_ request: inout HTTPRequest) throws(HTTPParsingError) {
        if request.target.utf8.first == UInt8(ascii: "/") || request.target == "*" && request.method == "OPTIONS" {
            return
        }
        guard let separator = request.target.firstRange(of: "://"),
            case let scheme = request.target[..<separator.lowerBound].lowercased(),
            scheme == "http" || scheme == "https"
        else { throw .malformedTarget }
        let authority = String(request.target[separator.upperBound...].prefix { $0 != "/" && $0 != "?" })
        guard !authority.isEmpty, isHost(authority.utf8) else { throw .malformedTarget }
        request.fields["Host"] = authority
    }
}

/// Visible ASCII without the fragment's sign, which never belongs into a request target.
func isTargetCharacter(_ byte: UInt8) -> Bool {
    (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "#")
}
