/// Why a token was refused. Nothing of the token is in it.
package enum TokenError: Error, Equatable {
    case tooLong
    /// Not three parts of base64url, or a part that is not the JSON object that it has to be.
    case malformed
    /// The header marks an extension as critical; we know none.
    case criticalExtension
    /// No `kid`, while several keys stand.
    case keyNotNamed
    case unknownKey
    /// `alg` is not the algorithm of the key.
    case algorithmMismatch
    case badSignature
    case missingClaim(ClaimName)
    case invalidClaim(ClaimName)
    case wrongIssuer
    case wrongAudience
    case expired
    /// `iat` or `nbf` lies ahead.
    case notYetValid
    /// More than 30 days between `iat` and `exp`.
    case lifeTooLong
}

extension TokenError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooLong: "the token is longer than \(TokenVerifier.maxBytes) bytes"
        case .malformed: "the token is no JWT in compact form"
        case .criticalExtension: "the token has a critical extension, none is known here"
        case .keyNotNamed: "the token names no key (kid), and several stand"
        case .unknownKey: "the token is signed with a key that is not known here"
        case .algorithmMismatch: "the token's algorithm is not that of its key"
        case .badSignature: "the token's signature is wrong"
        case .missingClaim(let name): "the token has no claim \(name.rawValue)"
        case .invalidClaim(let name): "the token's claim \(name.rawValue) has a wrong form"
        case .wrongIssuer: "the token's issuer is not accepted here"
        case .wrongAudience: "the token is not meant for skerry (aud)"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .lifeTooLong: "the token lives longer than 30 days"
        }
    }
}

/// The claims that are read (RFC 7519 section 4.1, and our own).
package enum ClaimName: String, Sendable {
    case user = "sub"
    case device = "dev"
    case tenant = "ten"
    case issuer = "iss"
    case audience = "aud"
    case scope = "scope"
    case issuedAt = "iat"
    case notBefore = "nbf"
    case expires = "exp"
    case id = "jti"
}
