package import Base
package import Crypto
import JSONCodec

/// Makes tokens, as an operator's backend does.
package struct TokenMint: Sendable {
    private let keyID: String
    private let key: SigningKey
    private let issuer: String?

    package init(keyID: String, key: SigningKey, issuer: String?) {
        self.keyID = keyID
        self.key = key
        self.issuer = issuer
    }

    /// - Parameters:
    ///   - life: at most 30 days (precondition); whole seconds count.
    ///   - id: `jti`, at most 256 bytes; what it takes to revoke this one token.
    package func mint(
        for address: DeviceAddress, scopes: [String], now: WallTime, life: Duration, id: String? = nil
    ) -> String {
        precondition(life > .zero && life <= Claims.maxLife, "a token lives at most 30 days")
        let header: JSONValue = ["alg": .string(key.algorithm.rawValue), "typ": "JWT", "kid": .string(keyID)]
        let payload = JSONValue.object([
            "iss": issuer.map(JSONValue.string),
            "aud": .string(Claims.audience),
            "ten": .string(address.tenant.rawValue),
            "sub": .string(address.user),
            "dev": .string(address.device),
            "scope": .string(scopes.joined(separator: " ")),
            "iat": .int(now.seconds),
            "exp": .int(now.seconds + life.components.seconds),
            "jti": id.map(JSONValue.string),
        ])
        let signed = Base64.encode(header.serialized(), .url) + "." + Base64.encode(payload.serialized(), .url)
        return signed + "." + Base64.encode(key.sign(Array(signed.utf8)), .url)
    }
}
