import Base
import COpenSSL
import Glibc

@testable import Runtime

/// A client that is OpenSSL's own, over a blocking socket: it takes up sessions again, and sends what ours never would.
///
/// `@unchecked Sendable`: used by one thread at a time.
final class BlockingTLSClient: @unchecked Sendable {
    struct Offer: Sendable {
        var serverName: String?
        var protocols: [String] = []
        var version = TLS1_3_VERSION
        var certificate: (certificate: String, key: String)?
    }

    struct Outcome: Sendable {
        var isConnected = false
        var isResumed = false
        /// The first DNS name of what the server has shown.
        var shownName: String?
        var applicationProtocol: String?
        /// How long the server's ticket is good, in seconds.
        var ticketLife = 0
        var cipher: String?
    }

    private let address: SocketAddress
    private let pool: BlockingPool
    /// What the next connection takes up.
    private var ticket: OpaquePointer?

    init(_ address: SocketAddress, _ pool: BlockingPool) {
        self.address = address
        self.pool = pool
    }

    deinit { SSL_SESSION_free(ticket) }

    /// One connection: a handshake, a line there and back, the end. Keeps the session's ticket for the next.
    func connect(_ offer: Offer = Offer(), resumes: Bool = false) async throws -> Outcome {
        try await pool.run { self.connectNow(offer, resumes) }
    }

    /// A connection of which only the server knows any more, behind so many bytes there and back: its socket stays open.
    func abandon(bytes count: Int) async throws -> Int32? {
        try await pool.run { self.abandonNow(count) }
    }

    private func abandonNow(_ count: Int) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let context = SSL_CTX_new(TLS_client_method())
        let session = SSL_new(context)
        defer {
            SSL_free(session)
            SSL_CTX_free(context)
        }
        var bytes = [UInt8](repeating: 1, count: count)
        guard address.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) == 0, SSL_set_fd(session, descriptor) == 1,
            SSL_connect(session) == 1, SSL_write(session, bytes, Int32(count)) == Int32(count)
        else {
            close(descriptor)
            return nil
        }
        var echoed: Int32 = 0
        while echoed < count {
            let read = SSL_read(session, &bytes, Int32(count))
            if read <= 0 { break }
            echoed += read
        }
        return descriptor
    }

    private func connectNow(_ offer: Offer, _ resumes: Bool) -> Outcome {
        var outcome = Outcome()
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let context = SSL_CTX_new(TLS_client_method())
        if let (certificate, key) = offer.certificate {
            Self.use(context, certificate, key)
        }
        let session = SSL_new(context)
        defer {
            SSL_free(session)
            SSL_CTX_free(context)
            close(descriptor)
        }
        SSL_ctrl(session, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(offer.version), nil)
        SSL_ctrl(session, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(offer.version), nil)
        if var name = offer.serverName.map({ Array($0.utf8CString) }) {
            SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), &name)
        }
        let wire = offer.protocols.flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
        if !wire.isEmpty { SSL_set_alpn_protos(session, wire, UInt32(wire.count)) }
        if resumes, let ticket { SSL_set_session(session, ticket) }
        guard address.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) == 0, SSL_set_fd(session, descriptor) == 1,
            SSL_connect(session) == 1
        else { return outcome }
        // The server's answer comes behind its ticket; whoever is refused for want of a certificate hears it here.
        var line = Array("ping".utf8)
        guard SSL_write(session, line, 4) == 4, SSL_read(session, &line, 4) == 4 else { return outcome }
        outcome.isConnected = true
        outcome.isResumed = SSL_session_reused(session) == 1
        outcome.shownName = Self.shownName(session)
        outcome.cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(session)).map { String(cString: $0) }
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(session, &name, &count)
        if let name, count > 0 {
            outcome.applicationProtocol = String(
                decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
        }
        SSL_shutdown(session)
        let kept = SSL_get1_session(session)
        outcome.ticketLife = Int(SSL_SESSION_get_ticket_lifetime_hint(kept))
        if SSL_SESSION_is_resumable(kept) == 1 {
            SSL_SESSION_free(ticket)
            ticket = kept
        } else {
            SSL_SESSION_free(kept)
        }
        return outcome
    }

    private static func use(_ context: OpaquePointer?, _ certificatePEM: String, _ keyPEM: String) {
        let texts = [certificatePEM, keyPEM].map { text in
            let memory = BIO_new(BIO_s_mem())
            BIO_puts(memory, text)
            return memory
        }
        defer { for text in texts { BIO_free(text) } }
        let certificate = PEM_read_bio_X509(texts[0], nil, nil, nil)
        let key = PEM_read_bio_PrivateKey(texts[1], nil, nil, nil)
        SSL_CTX_use_certificate(context, certificate)
        SSL_CTX_use_PrivateKey(context, key)
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    private static func shownName(_ session: OpaquePointer?) -> String? {
        let memory = BIO_new(BIO_s_mem())
        defer { BIO_free(memory) }
        PEM_write_bio_X509(memory, SSL_get0_peer_certificate(session))
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = Int(max(0, BIO_read(memory, &bytes, Int32(bytes.count))))
        let pem = String(decoding: bytes[..<count], as: UTF8.self)
        return TLSCertificate(certificatePEM: pem, privateKeyPEM: "").dnsNames.first
    }
}
