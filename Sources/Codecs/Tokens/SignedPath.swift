package import Base
import Crypto

/// A secret under which paths are signed, by its name. An operator's backend may hold it too.
package struct SignedPathKey: Equatable, Sendable {
    /// `[A-Za-z0-9_-]{1,64}`: it stands in paths, between dots.
    package let id: String
    /// Whose media it opens.
    package let tenant: Tenant
    /// The largest object that it opens; 0 is no limit. It is part of what is signed.
    package let maxBytes: Int64
    fileprivate let secret: [UInt8]

    /// Returns nil for a bad name, a secret of less than 32 bytes or a negative limit.
    package init?(id: String, tenant: Tenant, secret: [UInt8], maxBytes: Int64) {
        guard isIdentityName(id), !id.utf8.contains(UInt8(ascii: ".")), secret.count >= 32, maxBytes >= 0 else {
            return nil
        }
        self.id = id
        self.tenant = tenant
        self.secret = secret
        self.maxBytes = maxBytes
    }
}

package enum SignedPathError: Error, Equatable {
    case unknownKey
    case badSignature
    case expired
}

/// The right that stands in `/s/<kid>.<exp>.<sig>/media/<id>…`: whoever has it may GET what begins with `/media/<id>`.
///
/// The signature is base64url of HMAC-SHA-256 over `v1`, tenant, method, path prefix, `exp` and the size limit, a line each.
package struct SignedPath: Equatable, Sendable {
    package let keyID: String
    /// Unix seconds, as signed.
    package let expiresAtSeconds: Int64
    /// 32 bytes.
    package let signature: [UInt8]
    package let media: MediaID

    /// What a valid signed path opens.
    package struct Access: Equatable, Sendable {
        package let tenant: Tenant
        package let media: MediaID
        package let expires: WallTime
        /// 0 is no limit.
        package let maxBytes: Int64
    }

    package init(keyID: String, expiresAtSeconds: Int64, signature: [UInt8], media: MediaID) {
        self.keyID = keyID
        self.expiresAtSeconds = expiresAtSeconds
        self.signature = signature
        self.media = media
    }

    /// From `<kid>.<exp>.<sig>`, the component behind `/s/`.
    package init?(credential: some StringProtocol, media: MediaID) {
        let parts = credential.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, isIdentityName(parts[0]), let seconds = Int64(parts[1]), seconds >= 0,
            String(seconds) == parts[1], let signature = Base64.decode(parts[2], .url), signature.count == 32
        else { return nil }
        self.init(keyID: String(parts[0]), expiresAtSeconds: seconds, signature: signature, media: media)
    }

    /// From a whole path, without its query. What follows the prefix is `remainder`: empty, or begins with a slash.
    package static func parse(_ path: some StringProtocol) -> (signed: SignedPath, remainder: String)? {
        let parts = path.split(separator: "/", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count >= 5, parts[0].isEmpty, parts[1] == "s", parts[3] == "media", let media = MediaID(parts[4]),
            let signed = SignedPath(credential: parts[2], media: media)
        else { return nil }
        return (signed, parts.count > 5 ? "/" + parts[5] : "")
    }

    /// The path of an object, open to whoever has it until it expires.
    package static func mint(media: MediaID, key: SignedPathKey, expires: WallTime) -> String {
        let signature = sign(media: media, key: key, expiresAtSeconds: expires.seconds)
        return "/s/\(key.id).\(expires.seconds).\(Base64.encode(signature, .url))/media/\(media)"
    }

    /// - Important: the caller has checked that the request is a GET or HEAD for something below `/media/<id>`.
    package func verify(_ keys: [SignedPathKey], now: WallTime) throws(SignedPathError) -> Access {
        guard let key = keys.first(where: { $0.id == keyID }) else { throw .unknownKey }
        guard constantTimeEquals(signature, Self.sign(media: media, key: key, expiresAtSeconds: expiresAtSeconds))
        else {
            throw .badSignature
        }
        guard now.seconds < expiresAtSeconds else { throw .expired }
        let expires = WallTime(milliseconds: min(expiresAtSeconds, .max / 1000) * 1000)
        return Access(tenant: key.tenant, media: media, expires: expires, maxBytes: key.maxBytes)
    }

    private static func sign(media: MediaID, key: SignedPathKey, expiresAtSeconds: Int64) -> [UInt8] {
        let text = "v1\n\(key.tenant)\nGET\n/media/\(media)\n\(expiresAtSeconds)\n\(key.maxBytes)"
        return HMAC.sha256(key: key.secret, Array(text.utf8))
    }
}
