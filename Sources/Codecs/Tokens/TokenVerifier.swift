package import Base
package import Crypto
import JSONCodec

/// A key that signs tokens, by its name.
package struct TokenKey: Sendable {
    /// `kid` in the header of a token.
    package let id: String
    package let key: VerificationKey

    package init(id: String, key: VerificationKey) {
        self.id = id
        self.key = key
    }
}

/// Checks the tokens of clients: JWT (RFC 7519) in JWS compact form, signed EdDSA, ES256 or HS256.
///
/// The algorithm is that of the key (RFC 8725 section 3.1); what the header says must agree with it, and picks nothing.
package struct TokenVerifier: Sendable {
    package static let maxBytes = 8192
    private static let headerLimits = JSONLimits(maxBytes: 1024, maxDepth: 4)
    private static let payloadLimits = JSONLimits(maxBytes: maxBytes, maxDepth: 8)

    private let keys: [TokenKey]
    private let issuer: String?

    /// - Parameters:
    ///   - keys: their names differ (precondition).
    ///   - issuer: what `iss` has to be; nil accepts any.
    package init(keys: [TokenKey], issuer: String?) {
        precondition(Set(keys.map(\.id)).count == keys.count, "two token keys of one name")
        self.keys = keys
        self.issuer = issuer
    }

    /// - Throws: `TokenError`; the signature is judged before any claim.
    package func verify(_ token: String, now: WallTime) throws(TokenError) -> Claims {
        guard token.utf8.count <= Self.maxBytes else { throw .tooLong }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let signature = Base64.decode(parts[2], .url), !signature.isEmpty else {
            throw .malformed
        }
        let header = try Self.object(parts[0], Self.headerLimits)
        guard header["crit"] == nil else { throw .criticalExtension }
        let key = try key(named: header["kid"])
        guard let algorithm = header["alg"]?.string else { throw .malformed }
        guard algorithm == key.algorithm.rawValue else { throw .algorithmMismatch }
        let signed = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        guard key.verify(signature, of: signed) else { throw .badSignature }
        return try Claims(try Self.object(parts[1], Self.payloadLimits), issuer: issuer, now: now)
    }

    private func key(named name: JSONValue?) throws(TokenError) -> VerificationKey {
        guard let name else {
            guard keys.count <= 1 else { throw .keyNotNamed }
            guard let only = keys.first else { throw .unknownKey }
            return only.key
        }
        guard let id = name.string else { throw .malformed }
        guard let named = keys.first(where: { $0.id == id }) else { throw .unknownKey }
        return named.key
    }

    private static func object(_ part: Substring, _ limits: JSONLimits) throws(TokenError) -> JSONValue {
        guard let bytes = Base64.decode(part, .url), let value = try? JSONValue.parse(bytes, limits: limits),
            value.object != nil
        else { throw .malformed }
        return value
    }
}
