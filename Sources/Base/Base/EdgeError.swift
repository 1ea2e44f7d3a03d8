/// What went wrong above the codecs, with the four facts that a caller decides by: what kind, whose fault, whether
/// trying again can help, and what lay beneath.
public struct EdgeError: Error, CustomStringConvertible {
    public enum Kind: String, Sendable {
        case invalid, unauthenticated, forbidden, notFound, conflict, tooLarge, exhausted, unavailable, timeout,
            corrupt, closed, io
    }

    public enum Side: String, Sendable {
        /// The client or device that asked.
        case peer
        /// Another process that we asked: the central, a sibling, a worker.
        case upstream
        /// This process or its host.
        case `internal`
    }

    public let kind: Kind
    public let side: Side
    public let isRetryable: Bool
    /// What was wrong, what is allowed. Never a secret.
    public let message: String
    public let cause: (any Error)?

    public init(
        _ kind: Kind, _ message: String, side: Side = .peer, isRetryable: Bool = false, cause: (any Error)? = nil
    ) {
        self.kind = kind
        self.side = side
        self.isRetryable = isRetryable
        self.message = message
        self.cause = cause
    }

    public var description: String {
        cause.map { "\(message) (\(kind.rawValue), \(side.rawValue)): \($0)" }
            ?? "\(message) (\(kind.rawValue), \(side.rawValue))"
    }
}
