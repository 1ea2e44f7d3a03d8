/// The head of a response, and what it says about the message and the connection.
public struct HTTPResponseHead: Equatable, Sendable {
    public var response: HTTPResponse
    public var body: HTTPBodyFraming
    public var keepsAlive: Bool
}

/// Parses the head of a response as strictly as the one of a request. One parser serves one head.
public struct HTTPResponseParser {
    private let requestMethod: String
    private var scanner: HeadScanner

    /// - Parameter requestMethod: what was asked; the answer to HEAD has no body whatever its fields say.
    public init(requestMethod: String, limits: HTTPHeadLimits = HTTPHeadLimits()) {
        self.requestMethod = requestMethod
        scanner = HeadScanner(limits: limits)
    }

    /// - Parameter bytes: everything from the head's first byte on.
    /// - Returns: the head and its size in bytes, behind which the body begins; nil when more is needed.
    public mutating func parse(
        _ bytes: UnsafeRawBufferPointer
    ) throws(HTTPParsingError) -> (head: HTTPResponseHead, byteCount: Int)? {
        guard let count = try scanner.scan(bytes) else { return nil }
        let lines = HeadLines(UnsafeRawBufferPointer(rebasing: bytes[..<count]), lines: scanner.lines)
        let line = lines.startLine
        let minorVersion = try parseVersion(line, at: 0)
        guard line.count >= 12, line[8] == 0x20, line.count == 12 || line[12] == 0x20,
            line[9..<12].allSatisfy({ (48...57).contains($0) }), line[9] != 48,
            line[12...].allSatisfy(isFieldValueCharacter)
        else { throw .malformedStartLine }
        let status = line[9..<12].reduce(0) { $0 * 10 + Int($1 - 48) }
        var framing = FramingFields()
        let fields = try lines.fields(&framing)
        let isHTTP10 = minorVersion == 0
        let body: HTTPBodyFraming
        if (100..<200).contains(status) || status == 204 || status == 304 || requestMethod == "HEAD" {
            body = .length(0)
        } else {
            body = try framing.declaredBody(isHTTP10: isHTTP10) ?? .untilClose
        }
        let head = HTTPResponseHead(
            response: HTTPResponse(status: status, fields: fields), body: body,
            keepsAlive: body != .untilClose && framing.keepsAlive(isHTTP10: isHTTP10))
        return (head, count)
    }
}
