import Base
import Crypto
import STUN

extension FuzzTarget {
    private static let sealingKey = Array("0123456789abcdef".utf8)
    private static let serverName = "turn.example.org"
    private static let tokenNonce = [UInt8](repeating: 5, count: 12)

    /// Access tokens as they come, and what is inside them under a right seal (RFC 7635 section 6.2).
    static let accessToken = FuzzTarget("access-token") { input throws(BrokenProperty) in
        if let token = AccessToken(opening: input, sealingKey: sealingKey, serverName: serverName) { try check(token) }
        // The seal is judged first: what is behind it is only seen under a right one.
        let sealed = AESGCM.seal(input, key: sealingKey, nonce: tokenNonce, authenticating: Array(serverName.utf8))
        if let token = AccessToken(
            opening: [0, 12] + tokenNonce + sealed, sealingKey: sealingKey, serverName: serverName)
        {
            try check(token)
        }
    }

    private static func check(_ token: AccessToken) throws(BrokenProperty) {
        try hold(token.expiresAt >= token.issuedAt, "a token that ends before it begins")
        let sealed = token.sealed(sealingKey: sealingKey, serverName: serverName, nonce: tokenNonce)
        let again = try held(
            AccessToken(opening: sealed, sealingKey: sealingKey, serverName: serverName), "what was sealed is refused")
        try hold(again.key == token.key && again.lifetimeSeconds == token.lifetimeSeconds, "another token")
        // 1/64000 seconds are rounded to milliseconds.
        try hold(again.issuedAt == token.issuedAt, "another time")
    }

    /// Users' names and passwords (RFC 8265 section 4.2).
    static let opaqueString = FuzzTarget("opaque-string") { input throws(BrokenProperty) in
        guard let prepared = OpaqueString.prepare(String(decoding: input, as: UTF8.self)) else { return }
        try hold(!prepared.isEmpty, "an empty string")
        try holdEqual(
            OpaqueString.prepare(prepared).map { Array($0.utf8) }, Array(prepared.utf8), "prepared twice and once")
    }
}
