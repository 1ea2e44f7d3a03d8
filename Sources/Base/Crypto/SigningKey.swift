import COpenSSL
import CShims

public enum SignatureAlgorithm: String, Sendable, CaseIterable {
    case eddsa = "EdDSA"
    case es256 = "ES256"
    case hs256 = "HS256"
}

public enum KeyError: Error, Equatable {
    case malformed
    /// The key is valid, but not Ed25519, P-256 or a secret of at least 32 bytes.
    case unsupported
}

/// A key that signs: Ed25519, ECDSA on P-256 with SHA-256, or an HMAC-SHA-256 secret.
public struct SigningKey: Sendable {
    private let key: KeyMaterial
    public let algorithm: SignatureAlgorithm

    /// A PKCS#8 private key in PEM.
    public init(pem: String) throws(KeyError) {
        let pair = try KeyPair.privateKey(pem: pem)
        key = .pair(pair)
        algorithm = try pair.algorithm()
    }

    /// An HMAC secret of at least 32 bytes (RFC 7518 section 3.2).
    public init(secret: [UInt8]) throws(KeyError) {
        guard secret.count >= 32 else { throw .unsupported }
        key = .secret(secret)
        algorithm = .hs256
    }

    public static func generateEd25519() -> SigningKey {
        SigningKey(pair: KeyPair.generated(skerry_generate_ed25519()), algorithm: .eddsa)
    }

    public static func generateP256() -> SigningKey {
        SigningKey(pair: KeyPair.generated(skerry_generate_p256()), algorithm: .es256)
    }

    private init(pair: KeyPair, algorithm: SignatureAlgorithm) {
        key = .pair(pair)
        self.algorithm = algorithm
    }

    /// The signature in the form of JWS (RFC 7518): 64 bytes for EdDSA and ES256 (r ‖ s), 32 for HS256.
    public func sign(_ message: [UInt8]) -> [UInt8] {
        switch key {
        case .secret(let secret): HMAC.sha256(key: secret, message)
        case .pair(let pair):
            algorithm == .es256 ? ECDSASignature.raw(fromDER: pair.sign(message)) : pair.sign(message)
        }
    }

    public var verificationKey: VerificationKey { VerificationKey(key: key, algorithm: algorithm) }

    /// PKCS#8 in PEM; nil for a secret.
    public var pem: String? {
        if case .pair(let pair) = key { pair.privatePEM } else { nil }
    }
}

/// A key that checks signatures. The algorithm belongs to the key, never to what a message claims.
public struct VerificationKey: Sendable {
    private let key: KeyMaterial
    public let algorithm: SignatureAlgorithm

    fileprivate init(key: KeyMaterial, algorithm: SignatureAlgorithm) {
        self.key = key
        self.algorithm = algorithm
    }

    /// A public key in PEM (SubjectPublicKeyInfo), or a private key of which only the public half is used.
    public init(pem: String) throws(KeyError) {
        let pair: KeyPair
        if pem.contains("PRIVATE KEY") {
            pair = try KeyPair.privateKey(pem: pem)
        } else {
            pair = try KeyPair.publicKey(pem: pem)
        }
        key = .pair(pair)
        algorithm = try pair.algorithm()
    }

    /// An HMAC secret of at least 32 bytes.
    public init(secret: [UInt8]) throws(KeyError) {
        self = try SigningKey(secret: secret).verificationKey
    }

    public func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        switch key {
        case .secret(let secret): return constantTimeMatch(HMAC.sha256(key: secret, message), signature)
        case .pair(let pair):
            guard signature.count == 64 else { return false }
            return pair.verify(algorithm == .es256 ? ECDSASignature.der(fromRaw: signature) : signature, message)
        }
    }

    /// SubjectPublicKeyInfo in PEM; nil for a secret.
    public var pem: String? {
        if case .pair(let pair) = key { pair.publicPEM } else { nil }
    }

    private func constantTimeMatch(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}

private enum KeyMaterial: Sendable {
    case secret([UInt8])
    case pair(KeyPair)
}
