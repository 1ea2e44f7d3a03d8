public import Base

/// What the operator's own server is asked about a client whose user the relay does not know.
public struct AuthorizationQuery: Hashable, Sendable {
    /// As the client shows it, at most 508 bytes (RFC 8489 section 14.3).
    public let username: String
    public let realm: String

    public init(username: String, realm: String) {
        self.username = username
        self.realm = realm
    }
}

/// What the operator's server has answered.
public enum AuthorizationAnswer: Equatable, Sendable {
    /// Whose traffic it is, the password, and for how long that counts.
    case known(UserAddress, password: String, lifeSeconds: Int)
    /// There is no such user, or it may not use the relay; and for how long that counts.
    case unknown(lifeSeconds: Int)
    /// No answer that can be used. Nothing is learnt from it.
    case unavailable
}
