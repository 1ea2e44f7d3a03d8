import Base
import STUN

/// Who a client is, once its request has been found genuine.
struct Identity: Sendable {
    let username: String
    let user: UserAddress
    let key: LongTermKey
    /// The kind of integrity that the request has, and the answer gets.
    let integrity: STUNIntegrity
    /// When the right to have an allocation ends, in seconds from now.
    var longestLifetimeSeconds: UInt32?
}

/// The long-term credential mechanism (RFC 8489 section 9.2.4).
extension RelayEngine {
    func authenticate(
        _ message: borrowing STUNMessage, _ tuple: FiveTuple, _ id: AllocationID?, now: MonotonicInstant,
        wallTime: WallTime
    ) throws(STUNErrorCode) -> Identity {
        guard message.integrity != nil else { throw .unauthenticated }
        guard let username = message.text(.username), let realm = message.text(.realm),
            let nonce = message.value(.nonce)
        else { throw .badRequest }
        guard nonces.isCurrent(nonce, for: tuple.client, now: now) else { throw .staleNonce }
        guard realm == configuration.realm, let credentials = RESTCredentials(username: username)
        else { throw .unauthenticated }
        let key: LongTermKey
        if let id, allocations[id].identity.username == username {
            // Credentials may end while the allocation goes on: a call does not break because it is long.
            key = allocations[id].identity.key
        } else {
            guard credentials.expiresAt > wallTime else { throw .unauthenticated }
            key = LongTermKey(
                username: username, realm: realm,
                password: RESTCredentials.password(username: username, secret: configuration.sharedSecret))
        }
        guard message.hasValidIntegrity(key) else { throw .unauthenticated }
        return Identity(username: username, user: credentials.user, key: key, integrity: .sha1)
    }
}
