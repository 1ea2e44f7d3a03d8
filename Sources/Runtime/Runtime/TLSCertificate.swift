import CShims

/// A certificate with the chain behind it, and its private key, both in PEM.
public struct TLSCertificate: Sendable {
    public let certificatePEM: String
    public let privateKeyPEM: String

    public init(certificatePEM: String, privateKeyPEM: String) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }

    /// When it ends, in seconds since 1970; nil if there is no certificate in the text.
    public var expirySeconds: Int64? {
        let expiry = skerry_certificate_expiry(certificatePEM)
        return expiry < 0 ? nil : expiry
    }

    /// The DNS names of its subjectAltName in lower case, some of them perhaps with a wildcard as their first label. At most 256.
    var dnsNames: [String] {
        var names: [String] = []
        var buffer = [CChar](repeating: 0, count: 256)
        while names.count < 256 {
            let count = Int(skerry_certificate_dns_name(certificatePEM, Int32(names.count), &buffer, buffer.count))
            if count <= 0 { break }
            names.append(
                String(decoding: buffer[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased())
        }
        return names
    }

    /// RSA, EC, Ed25519: OpenSSL's number.
    var keyType: Int32 { skerry_certificate_key_type(certificatePEM) }
}
