/// How the end of a message's body is found (RFC 9112 section 6.3).
public enum HTTPBodyFraming: Equatable, Sendable {
    /// No body, or one of a known number of bytes.
    case length(Int)
    case chunked
    /// Until the connection closes; responses only.
    case untilClose
}
