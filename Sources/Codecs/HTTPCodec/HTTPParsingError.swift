/// Why a message was refused. After any of these the connection cannot be trusted to be in step with its peer: answer
/// with `status` (if it was a request) and close.
public enum HTTPParsingError: Error, Equatable, Sendable {
    case malformedStartLine
    case unsupportedVersion
    case malformedTarget
    case malformedField
    /// A line folded onto the next (RFC 9112 section 5.2).
    case obsoleteFolding
    /// A CR without LF, or an LF without CR.
    case bareLineBreak
    case missingHost
    case invalidHost
    /// Not a number, too large, or given more than once.
    case invalidContentLength
    /// Both Transfer-Encoding and Content-Length, or Transfer-Encoding in HTTP/1.0: the marks of request smuggling.
    case ambiguousFraming
    /// A transfer coding other than a single `chunked`.
    case unsupportedTransferCoding
    case unsupportedExpectation
    case malformedChunk
    case startLineTooLong
    case headTooLarge
    case tooManyFields
    case trailersTooLarge
    /// A trailer that frames, routes or authenticates the message that it ends.
    case forbiddenTrailer

    /// The status code to answer a request with.
    public var status: Int {
        switch self {
        case .unsupportedVersion: 505
        case .unsupportedTransferCoding: 501
        case .unsupportedExpectation: 417
        case .startLineTooLong: 414
        case .headTooLarge, .tooManyFields, .trailersTooLarge: 431
        default: 400
        }
    }
}
