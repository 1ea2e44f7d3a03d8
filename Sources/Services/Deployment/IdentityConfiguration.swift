import Base
package import ConfigurationFile
package import Crypto
import Runtime
package import Tokens

/// Whose tokens are accepted.
package struct IdentityConfiguration: Equatable, Sendable {
    package struct Key: Equatable, Sendable {
        /// `kid` in the header of a token.
        package var kid = ""
        package var algorithm = SignatureAlgorithm.eddsa
        /// A public key in PEM (EdDSA, ES256), or a secret in base64 or hexadecimal (HS256; mode 0600).
        package var file = ""
    }

    /// What `iss` of a token has to be; nil accepts any.
    package var issuer: String?
    package var keys: [Key] = []
    /// More keys, in a JSON Web Key Set (RFC 7517).
    package var jwksFile: String?

    package init() {}

    package init(_ section: ConfigurationSection) {
        section.read("issuer", &issuer)
        keys = section.list("keys", maxCount: 32) { section in
            var key = Key()
            section.read("kid", &key.kid, isRequired: true)
            section.read("algorithm", &key.algorithm)
            section.readPath("file", &key.file, isRequired: true)
            return key
        }
        section.readPath("jwks_file", &jwksFile)
        if Set(keys.map(\.kid)).count != keys.count { section.reject("keys", "names two keys alike (kid)") }
        if keys.isEmpty, jwksFile == nil {
            section.reject("keys", "has no key, and there is no jwks_file: no token would be accepted")
        }
    }

    /// Reads the keys.
    ///
    /// - Throws: `EdgeError` that names the file which is wrong.
    package func loadVerifier() throws -> TokenVerifier {
        var loaded = try keys.map { TokenKey(id: $0.kid, key: try Self.load($0)) }
        if let jwksFile { loaded += try Self.loadSet(jwksFile) }
        guard Set(loaded.map(\.id)).count == loaded.count else {
            throw EdgeError(.invalid, "\(jwksFile ?? "") names a key (kid) that stands already", side: .internal)
        }
        return TokenVerifier(keys: loaded, issuer: issuer)
    }

    private static func load(_ key: Key) throws -> VerificationKey {
        let loaded: VerificationKey?
        switch key.algorithm {
        case .hs256:
            let secret = try SecretFile.readSecret(key.file)
            loaded = try? VerificationKey(secret: secret)
        case .eddsa, .es256:
            var pem = try SecretFile.readPublicText(key.file)
            if pem.contains("PRIVATE KEY") { pem = try SecretFile.readText(key.file) }
            loaded = try? VerificationKey(pem: pem)
        }
        guard let loaded, loaded.algorithm == key.algorithm else {
            throw EdgeError(.invalid, "\(key.file) holds no key for \(key.algorithm.rawValue)", side: .internal)
        }
        return loaded
    }

    private static func loadSet(_ path: String) throws -> [TokenKey] {
        let text = try SecretFile.readPublicText(path)
        let keys: [TokenKey]
        do {
            keys = try JSONWebKeySet.parse(Array(text.utf8))
        } catch {
            throw EdgeError(.invalid, "\(path) is no key set that can be used: \(error)", side: .internal, cause: error)
        }
        if keys.contains(where: { $0.key.algorithm == .hs256 }) { _ = try SecretFile.read(path) }
        return keys
    }
}
