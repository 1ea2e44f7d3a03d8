package import Wire

/// What a messaging client is told, in the order in which it happened.
package enum MessagingEvent: Equatable, Sendable {
    /// A connection stands, the first or a further one. Deliveries after the resume point come again.
    case connected(ServerFrame.Welcome)
    /// The connection was lost; the client is trying to get another.
    case disconnected(reason: String)
    case deliver(ServerFrame.Deliver)
    case drained
    case gap(ServerFrame.Gap)
    case statusNew(ServerFrame.StatusItem)
    case statusGone(ServerFrame.StatusGone)
    case call(ServerFrame.CallNotice)
    /// An error that belongs to no request.
    case error(ServerFrame.Failure)
    /// The server refused the client for good: nothing follows.
    case ended(MessagingEnd)
}

/// Why a client does not connect any more.
package enum MessagingEnd: Error, Equatable, CustomStringConvertible {
    /// A close code by which the server forbids to come again: 4400, 4401, 4409, 4413.
    case closed(code: UInt16, reason: String)
    /// The handshake was answered with an HTTP status that does not change by trying again.
    case refused(status: Int, message: String)
    case closedHere

    package var description: String {
        switch self {
        case .closed(let code, let reason):
            "the server closed the connection: \(code)\(reason.isEmpty ? "" : " " + reason)"
        case .refused(let status, let message): "the server refused the connection: \(message) (HTTP \(status))"
        case .closedHere: "the connection was closed here"
        }
    }
}

/// An `error` frame that answers a request.
package struct RequestRefused: Error, Equatable, CustomStringConvertible {
    package let failure: ServerFrame.Failure

    package var description: String { "\(failure.message) (\(failure.code.rawValue))" }
}
