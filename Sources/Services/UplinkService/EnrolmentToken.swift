import Base
import Crypto

/// What an operator hands to a new node: `skerry-enroll:1:<cluster>:<fingerprint>:<secret>`.
///
/// The fingerprint (SHA-256 of the authority's certificate) lets the node know the central before it trusts anything; the
/// secret is good once. Both are base64url. The text is a secret.
package struct EnrolmentToken: Equatable, Sendable {
    package let cluster: String
    /// 32 bytes.
    package let authorityFingerprint: [UInt8]
    /// 32 bytes.
    let secret: [UInt8]

    private static let label = "skerry-enroll:1"

    init(cluster: String, authorityFingerprint: [UInt8], secret: [UInt8]) {
        self.cluster = cluster
        self.authorityFingerprint = authorityFingerprint
        self.secret = secret
    }

    /// Returns nil unless the text has the form.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 5, "\(parts[0]):\(parts[1])" == Self.label, isIdentityName(parts[2]),
            let fingerprint = Base64.decode(parts[3], .url), fingerprint.count == 32,
            let secret = Base64.decode(parts[4], .url), secret.count == 32
        else { return nil }
        self.init(cluster: String(parts[2]), authorityFingerprint: fingerprint, secret: secret)
    }

    package var text: String {
        "\(Self.label):\(cluster):\(Base64.encode(authorityFingerprint, .url)):\(Base64.encode(secret, .url))"
    }

    /// What the central keeps of it.
    var secretHash: [UInt8] { Digest.sha256(secret) }
}
