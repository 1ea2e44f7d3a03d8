import Base
import COpenSSL
import CShims

/// What TLS proved of the other side.
public struct TLSPeer: Sendable {
    /// The protocol chosen by ALPN (RFC 7301).
    public let applicationProtocol: String?
    /// The URIs of the peer certificate's subjectAltName; empty without a certificate.
    public let certificateURIs: [String]
}

/// Certificates, trust and protocols for TLS 1.2 and 1.3 in one role. Owner of an SSL_CTX.
///
/// `@unchecked Sendable`: not changed after `init`; OpenSSL allows concurrent use of such a context.
public final class TLSContext: @unchecked Sendable {
    enum Role { case server, client }

    let pointer: OpaquePointer
    let role: Role
    /// A client's: the server's certificate must have a URI with this prefix; instead of its name being checked.
    let expectedURIPrefix: String?
    private let protocols: [[UInt8]]
    private let certificateRequiredFor: Set<[UInt8]>

    /// For the side that accepts.
    ///
    /// - Parameters:
    ///   - certificatePEM: the certificate, and the chain behind it.
    ///   - clientAuthorityPEM: who may sign client certificates.
    ///   - protocols: ALPN protocols in the order of preference; a client that offers none of them gets no ALPN answer.
    ///   - requireClientCertificateFor: protocols whose clients must show a certificate of that authority.
    public static func server(
        certificatePEM: String, privateKeyPEM: String, clientAuthorityPEM: String? = nil, protocols: [String],
        requireClientCertificateFor required: Set<String> = []
    ) throws -> TLSContext {
        let context = try TLSContext(.server, protocols, Set(required.map { Array($0.utf8) }), nil)
        try context.use(certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM)
        if let clientAuthorityPEM { try context.trust(clientAuthorityPEM) }
        SSL_CTX_set_alpn_select_cb(context.pointer, selectProtocol, Unmanaged.passUnretained(context).toOpaque())
        return context
    }

    /// For the side that connects. The server's certificate is always checked: against `expectedURIPrefix` when given, else against
    /// the server name of the connection.
    ///
    /// - Parameter trustPEM: authorities to trust; nil for the system's.
    public static func client(
        trustPEM: String? = nil, certificatePEM: String? = nil, privateKeyPEM: String? = nil, protocols: [String],
        expectedURIPrefix: String? = nil
    ) throws -> TLSContext {
        let context = try TLSContext(.client, protocols, [], expectedURIPrefix)
        if let certificatePEM, let privateKeyPEM {
            try context.use(certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM)
        }
        if let trustPEM {
            try context.trust(trustPEM)
        } else {
            SSL_CTX_set_default_verify_paths(context.pointer)
        }
        SSL_CTX_set_verify(context.pointer, SSL_VERIFY_PEER, nil)
        let wire = context.protocols.flatMap { [UInt8($0.count)] + $0 }
        if !wire.isEmpty { SSL_CTX_set_alpn_protos(context.pointer, wire, UInt32(wire.count)) }
        return context
    }

    private init(_ role: Role, _ protocols: [String], _ required: Set<[UInt8]>, _ prefix: String?) throws {
        guard let created = SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method()) else {
            throw StreamError.tls(TLSSession.lastError())
        }
        pointer = created
        self.role = role
        self.protocols = protocols.map { Array($0.utf8) }
        certificateRequiredFor = required
        expectedURIPrefix = prefix
        _ = skerry_ctx_set_minimum_tls12(created)
        _ = skerry_ctx_set_release_buffers(created)
        // A resumed session would skip the check of a client certificate that has been revoked since.
        SSL_CTX_set_options(created, skerry_ssl_options())
        SSL_CTX_set_num_tickets(created, 0)
    }

    deinit { SSL_CTX_free(pointer) }

    private func use(certificatePEM: String, privateKeyPEM: String) throws {
        guard skerry_ctx_use_pem(pointer, certificatePEM, privateKeyPEM) == 1 else {
            throw StreamError.tls("certificate and private key do not fit: \(TLSSession.lastError())")
        }
    }

    private func trust(_ pem: String) throws {
        guard skerry_ctx_trust_pem(pointer, pem) == 1 else {
            throw StreamError.tls("no certificate authority in the PEM text: \(TLSSession.lastError())")
        }
    }

    /// Chooses among what a client offers (a list of length-prefixed names), and asks for its certificate where that protocol needs one.
    fileprivate func choose(
        _ session: OpaquePointer?, from offered: UnsafeBufferPointer<UInt8>
    ) -> UnsafeBufferPointer<UInt8>? {
        for wanted in protocols {
            var offset = 0
            while offset < offered.count {
                let count = Int(offered[offset])
                guard offset + 1 + count <= offered.count else { return nil }
                let name = UnsafeBufferPointer(rebasing: offered[offset + 1..<offset + 1 + count])
                if name.elementsEqual(wanted) {
                    if certificateRequiredFor.contains(wanted) {
                        SSL_set_verify(session, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
                    }
                    return name
                }
                offset += 1 + count
            }
        }
        return nil
    }
}

private func selectProtocol(
    session: OpaquePointer?, chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    chosenCount: UnsafeMutablePointer<UInt8>?,
    offered: UnsafePointer<UInt8>?, offeredCount: UInt32, argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let argument, let offered else { return SSL_TLSEXT_ERR_NOACK }
    let context = Unmanaged<TLSContext>.fromOpaque(argument).takeUnretainedValue()
    guard let name = context.choose(session, from: UnsafeBufferPointer(start: offered, count: Int(offeredCount))) else {
        return SSL_TLSEXT_ERR_NOACK
    }
    chosen?.pointee = name.baseAddress
    chosenCount?.pointee = UInt8(name.count)
    return SSL_TLSEXT_ERR_OK
}
