public import Base
import COpenSSL
import CShims

public enum CertificateError: Error, Equatable {
    case malformed
    /// The request's signature does not match its key.
    case badRequest
    case refused(String)
}

/// Who a node certificate names (RFC 5280 subjectAltName).
public struct CertificateNames: Equatable, Sendable {
    /// `skerry://<cluster>/<region>/<name>`
    public var uri: String
    public var dnsNames: [String]
    public var ipAddresses: [IPAddress]

    public init(uri: String, dnsNames: [String] = [], ipAddresses: [IPAddress] = []) {
        self.uri = uri
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
    }
}

/// A private key and the request for its certificate (PKCS#10), ECDSA P-256.
public enum CertificateRequest {
    public static func generate(commonName: String) -> (requestPEM: String, privateKeyPEM: String) {
        let key = KeyPair.generated(skerry_generate_p256())
        let request = X509_REQ_new()
        defer { X509_REQ_free(request) }
        setCommonName(X509_REQ_get_subject_name(request), commonName)
        precondition(
            X509_REQ_set_pubkey(request, key.pointer) == 1 && X509_REQ_sign(request, key.pointer, EVP_sha256()) > 0)
        let bio = MemoryBIO()
        precondition(PEM_write_bio_X509_REQ(bio.pointer, request) == 1)
        return (bio.text, key.privatePEM)
    }
}

/// The cluster's own certificate authority: signs the certificates of nodes, nothing else.
public struct CertificateAuthority: Sendable {
    private let certificate: Certificate
    private let key: KeyPair

    public init(certificatePEM: String, privateKeyPEM: String) throws {
        certificate = try Certificate(pem: certificatePEM)
        key = try KeyPair.privateKey(pem: privateKeyPEM)
    }

    /// A new authority that is valid for ten years.
    public static func generate(name: String, now: WallTime) -> (certificatePEM: String, privateKeyPEM: String) {
        let key = KeyPair.generated(skerry_generate_p256())
        guard let x509 = X509_new() else { preconditionFailure("out of memory") }
        let certificate = Certificate(owning: x509)
        setCommonName(X509_get_subject_name(x509), name)
        prepare(x509, key: key, issuer: X509_get_subject_name(x509), from: now, validity: .seconds(10 * 365 * 86_400))
        addExtension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
        addExtension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign")
        addExtension(x509, x509, NID_subject_key_identifier, "hash")
        precondition(X509_sign(x509, key.pointer, EVP_sha256()) > 0)
        return (certificate.pem, key.privatePEM)
    }

    /// SHA-256 of the authority's certificate in DER, by which an enrolling node knows it.
    public var fingerprint: [UInt8] { certificate.fingerprint }

    public var certificatePEM: String { certificate.pem }

    /// Signs a request. What the request asks to be named is ignored: names come from the caller alone.
    ///
    /// - Throws: `CertificateError.malformed`, or `.badRequest` when its signature does not prove the key.
    public func sign(requestPEM: String, names: CertificateNames, now: WallTime, validity: Duration) throws -> String {
        let bio = MemoryBIO(requestPEM)
        guard let request = PEM_read_bio_X509_REQ(bio.pointer, nil, nil, nil) else {
            ERR_clear_error()
            throw CertificateError.malformed
        }
        defer { X509_REQ_free(request) }
        let publicKey = X509_REQ_get0_pubkey(request)
        guard X509_REQ_verify(request, publicKey) == 1 else {
            ERR_clear_error()
            throw CertificateError.badRequest
        }
        guard let x509 = X509_new() else { preconditionFailure("out of memory") }
        let issued = Certificate(owning: x509)
        setCommonName(X509_get_subject_name(x509), String(names.uri.prefix(64)))
        precondition(X509_set_pubkey(x509, publicKey) == 1)
        prepare(x509, key: nil, issuer: X509_get_subject_name(certificate.pointer), from: now, validity: validity)
        let entries =
            ["URI:\(names.uri)"] + names.dnsNames.map { "DNS:\($0)" } + names.ipAddresses.map { "IP:\($0)" }
        guard entries.allSatisfy({ !$0.contains(",") && !$0.contains("\n") }) else {
            throw CertificateError.refused("a name in a certificate has no comma and no line break")
        }
        addExtension(x509, certificate.pointer, NID_basic_constraints, "critical,CA:FALSE")
        addExtension(x509, certificate.pointer, NID_key_usage, "critical,digitalSignature")
        addExtension(x509, certificate.pointer, NID_ext_key_usage, "serverAuth,clientAuth")
        addExtension(x509, certificate.pointer, NID_subject_alt_name, entries.joined(separator: ","))
        precondition(X509_sign(x509, key.pointer, EVP_sha256()) > 0)
        return issued.pem
    }
}

/// SHA-256 of the first certificate's DER form in a PEM text.
public func certificateFingerprint(pem: String) throws -> [UInt8] { try Certificate(pem: pem).fingerprint }

/// Owner of an X509.
///
/// `@unchecked Sendable`: never changed once it is signed; OpenSSL's reads of it are safe from several threads.
final class Certificate: @unchecked Sendable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    init(pem: String) throws {
        let bio = MemoryBIO(pem)
        guard let read = PEM_read_bio_X509(bio.pointer, nil, nil, nil) else {
            ERR_clear_error()
            throw CertificateError.malformed
        }
        pointer = read
    }

    deinit { X509_free(pointer) }

    var pem: String {
        let bio = MemoryBIO()
        precondition(PEM_write_bio_X509(bio.pointer, pointer) == 1)
        return bio.text
    }

    var fingerprint: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { output, initialized in
            precondition(X509_digest(pointer, EVP_sha256(), output.baseAddress, nil) == 1)
            initialized = 32
        }
    }
}

private func setCommonName(_ name: OpaquePointer?, _ text: String) {
    let bytes = Array(text.utf8)
    let done = X509_NAME_add_entry_by_txt(name, "CN", 0x1000, bytes, Int32(bytes.count), -1, 0)  // MBSTRING_UTF8
    precondition(done == 1, "a common name has 1 to 64 characters")
}

private func prepare(
    _ x509: OpaquePointer, key: KeyPair?, issuer: OpaquePointer?, from now: WallTime, validity: Duration
) {
    var serial = randomBytes(16)
    serial[0] &= 0x7F
    let number = BN_bin2bn(serial, 16, nil)
    defer { BN_free(number) }
    precondition(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != nil)
    X509_set_version(x509, 2)
    X509_set_issuer_name(x509, issuer)
    // An hour of tolerance for clocks that run behind.
    ASN1_TIME_set(X509_getm_notBefore(x509), Int(now.seconds - 3600))
    ASN1_TIME_set(X509_getm_notAfter(x509), Int((now + validity).seconds))
    if let key { precondition(X509_set_pubkey(x509, key.pointer) == 1) }
}

private func addExtension(_ x509: OpaquePointer, _ issuer: OpaquePointer, _ kind: Int32, _ value: String) {
    var context = X509V3_CTX()
    X509V3_set_ctx(&context, issuer, x509, nil, nil, 0)
    guard let created = X509V3_EXT_conf_nid(nil, &context, kind, value) else {
        preconditionFailure("libcrypto refused the extension \(kind)")
    }
    X509_add_ext(x509, created, -1)
    X509_EXTENSION_free(created)
}
