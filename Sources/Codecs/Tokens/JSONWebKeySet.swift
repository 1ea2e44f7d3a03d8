import Base
import Crypto
import JSONCodec

/// Reading a JWKS file (RFC 7517): Ed25519 (RFC 8037), P-256 and `oct` keys for signatures, each with a `kid`.
package enum JSONWebKeySet {
    package enum ParseError: Error, Equatable {
        case malformed
        /// The key at this position of `keys` is not one that can be used, or has no `kid`, or one that stands already.
        case badKey(index: Int)
    }

    /// Every key has to be usable: a set that is half understood would refuse tokens for no visible reason.
    package static func parse(_ bytes: [UInt8]) throws(ParseError) -> [TokenKey] {
        guard let set = try? JSONValue.parse(bytes), let entries = set["keys"]?.array else { throw .malformed }
        var keys: [TokenKey] = []
        for (index, entry) in entries.enumerated() {
            guard let id = entry["kid"]?.string, !id.isEmpty, !keys.contains(where: { $0.id == id }),
                entry["use"].map({ $0 == "sig" }) ?? true, let key = key(entry),
                entry["alg"].map({ $0 == .string(key.algorithm.rawValue) }) ?? true
            else { throw .badKey(index: index) }
            keys.append(TokenKey(id: id, key: key))
        }
        return keys
    }

    private static func key(_ entry: JSONValue) -> VerificationKey? {
        func bytes(_ name: String, count: Int) -> [UInt8]? {
            entry[name]?.string.flatMap { Base64.decode($0, .url) }.flatMap { $0.count == count ? $0 : nil }
        }
        switch (entry["kty"]?.string, entry["crv"]?.string) {
        case ("OKP", "Ed25519"):
            return bytes("x", count: 32).flatMap { publicKey(ed25519Prefix + $0) }
        case ("EC", "P-256"):
            guard let x = bytes("x", count: 32), let y = bytes("y", count: 32) else { return nil }
            return publicKey(p256Prefix + x + y)
        case ("oct", nil):
            return entry["k"]?.string.flatMap { Base64.decode($0, .url) }.flatMap { try? VerificationKey(secret: $0) }
        default: return nil
        }
    }

    private static func publicKey(_ subjectPublicKeyInfo: [UInt8]) -> VerificationKey? {
        try? VerificationKey(
            pem: "-----BEGIN PUBLIC KEY-----\n\(Base64.encode(subjectPublicKeyInfo))\n-----END PUBLIC KEY-----\n")
    }

    /// SubjectPublicKeyInfo up to the 32 bytes of the key (RFC 8410).
    private static let ed25519Prefix: [UInt8] = [
        0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
    ]
    /// SubjectPublicKeyInfo of an uncompressed point on P-256, up to its coordinates (RFC 5480).
    private static let p256Prefix: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
        0xCE,
        0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ]
}
