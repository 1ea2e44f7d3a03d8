public import Base

/// What an edge tells the central without an answer. Notices of one session arrive in the order in which they were sent.
public enum EdgeNotice: Equatable, Sendable {
    case sessionFrame(session: UInt64, ClientFrame)
    case sessionClose(SessionClose)
    /// The edge has a storage object on its disk, or no longer has it.
    case mediaHold(object: UUID, holds: Bool)
}

/// What the central tells an edge without an answer. Notices arrive in the order in which they were sent.
public enum CentralNotice: Equatable, Sendable {
    case sessionFrame(session: UInt64, ServerFrame)
    case sessionClose(SessionClose)
    /// Storage objects that must be deleted now.
    case mediaPurge(objects: [UUID])
    /// The edges that are connected, whenever that changes.
    case edges([EdgeDescription])
}

public struct SessionClose: Equatable, Sendable {
    public var session: UInt64
    /// A WebSocket close code (contract: 4401, 4408, 4409 …); 1000 when the client left.
    public var code: UInt16
    public var reason: String

    public init(session: UInt64, code: UInt16, reason: String) {
        self.session = session
        self.code = code
        self.reason = reason
    }
}
