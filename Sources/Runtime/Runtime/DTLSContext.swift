import COpenSSL
import CShims

/// Certificate, trust and protocols for DTLS 1.2 (RFC 6347) in one role. Owner of an SSL_CTX.
///
/// `@unchecked Sendable`: not changed after `init`; OpenSSL allows concurrent use of such a context.
public final class DTLSContext: @unchecked Sendable {
    enum Role { case server, client }

    let pointer: OpaquePointer
    let role: Role
    private let protocols: ALPNProtocols

    /// For the side that is called.
    ///
    /// - Parameters:
    ///   - certificatePEM: the certificate, and the chain behind it.
    ///   - protocols: ALPN protocols in the order of preference; a client that offers none of them gets no ALPN answer.
    ///   - offersSRTP: whether DTLS-SRTP keys may be agreed on (RFC 5764).
    public static func server(
        certificatePEM: String, privateKeyPEM: String, protocols: [String] = [], offersSRTP: Bool = false
    ) throws -> DTLSContext {
        let context = try DTLSContext(.server, protocols, offersSRTP)
        guard skerry_ctx_use_pem(context.pointer, certificatePEM, privateKeyPEM) == 1 else {
            throw StreamError.tls("certificate and private key do not fit: \(TLSSession.lastError())")
        }
        SSL_CTX_set_alpn_select_cb(
            context.pointer, selectALPNProtocol, Unmanaged.passUnretained(context.protocols).toOpaque())
        return context
    }

    /// For the side that calls. The server's certificate is checked against the name that a session is made for.
    ///
    /// - Parameter trustPEM: authorities to trust.
    public static func client(trustPEM: String, protocols: [String] = [], offersSRTP: Bool = false) throws
        -> DTLSContext
    {
        let context = try DTLSContext(.client, protocols, offersSRTP)
        guard skerry_ctx_trust_pem(context.pointer, trustPEM) == 1 else {
            throw StreamError.tls("no certificate authority in the PEM text: \(TLSSession.lastError())")
        }
        SSL_CTX_set_verify(context.pointer, SSL_VERIFY_PEER, nil)
        let wire = context.protocols.wire
        if !wire.isEmpty { SSL_CTX_set_alpn_protos(context.pointer, wire, UInt32(wire.count)) }
        return context
    }

    private init(_ role: Role, _ protocols: [String], _ offersSRTP: Bool) throws {
        guard let created = SSL_CTX_new(role == .server ? DTLS_server_method() : DTLS_client_method()) else {
            throw StreamError.tls(TLSSession.lastError())
        }
        pointer = created
        self.role = role
        self.protocols = ALPNProtocols(protocols)
        guard skerry_dtls_ctx_setup(created, role == .server ? 1 : 0) == 1 else {
            throw StreamError.tls(TLSSession.lastError())
        }
        // The AEAD profiles of RFC 7714 first, then the one that every WebRTC stack has.
        if offersSRTP {
            SSL_CTX_set_tlsext_use_srtp(created, "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80")
        }
    }

    deinit { SSL_CTX_free(pointer) }
}
