import Base
import COpenSSL
import CShims

/// One TLS connection over memory: sealed bytes are fed in and taken out, it never touches a socket. Owner of an SSL.
///
/// Belongs to one stream and so to one loop.
final class TLSSession {
    private let context: TLSContext
    private let pointer: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    private(set) var peer: TLSPeer?
    /// The peer has sent close_notify.
    private(set) var isEnded = false

    init(_ context: TLSContext, serverName: String?) throws(StreamError) {
        guard let created = SSL_new(context.pointer), let input = BIO_new(BIO_s_mem()),
            let output = BIO_new(BIO_s_mem())
        else {
            throw .tls(Self.lastError())
        }
        self.context = context
        pointer = created
        self.input = input
        self.output = output
        SSL_set_bio(created, input, output)  // which owns both from here on
        switch context.role {
        case .server: SSL_set_accept_state(created)
        case .client:
            SSL_set_connect_state(created)
            if let serverName {
                if IPAddress(serverName) == nil { _ = skerry_ssl_set_server_name(created, serverName) }
                if context.expectedURIPrefix == nil,
                    skerry_ssl_expect_name(created, serverName, IPAddress(serverName) != nil ? 1 : 0) != 1
                {
                    throw .tls("\(serverName) cannot be checked in a certificate")
                }
            }
        }
    }

    deinit { SSL_free(pointer) }

    /// Sealed bytes from the peer.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        let taken = BIO_write(input, bytes.baseAddress, Int32(bytes.count))
        precondition(taken == Int32(bytes.count), "a memory BIO takes all")
    }

    /// Moves sealed bytes for the peer behind those in the array.
    func takeOutput(_ bytes: inout [UInt8]) {
        let pending = Int(skerry_bio_pending(output))
        guard pending > 0 else { return }
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: pending))
        bytes.withUnsafeMutableBytes { _ = BIO_read(output, $0.baseAddress.map { $0 + start }, Int32(pending)) }
    }

    /// One step. Returns true when the handshake is complete, false when it needs more from the peer.
    func handshake() throws(StreamError) -> Bool {
        ERR_clear_error()
        let result = SSL_do_handshake(pointer)
        if result != 1 {
            guard SSL_get_error(pointer, result) == SSL_ERROR_WANT_READ else { throw .tls(failureText()) }
            return false
        }
        let proven = TLSPeer(applicationProtocol: chosenProtocol(), certificateURIs: certificateURIs())
        if let prefix = context.expectedURIPrefix, !proven.certificateURIs.contains(where: { $0.hasPrefix(prefix) }) {
            throw .tls("the server's certificate names no \(prefix)…")
        }
        peer = proven
        return true
    }

    /// Opens what was fed, behind the bytes in the buffer. Returns 0 when more must be fed, or at the end.
    func read(into buffer: inout ReceiveBuffer) throws(StreamError) -> Int {
        var total = 0
        while total < 64 * 1024 {
            ERR_clear_error()
            let count = buffer.append(capacity: 16 * 1024) { space in
                Int(SSL_read(pointer, space.baseAddress, Int32(min(space.count, 16 * 1024))))
            }
            if count > 0 {
                total += count
                continue
            }
            switch SSL_get_error(pointer, Int32(count)) {
            case SSL_ERROR_WANT_READ: return total
            case SSL_ERROR_ZERO_RETURN:
                isEnded = true
                return total
            default:
                if total > 0 { return total }
                throw .tls(failureText())
            }
        }
        return total
    }

    /// Seals some of the bytes that begin at the offset, at most 64 KiB; returns how many.
    func write(_ bytes: [UInt8], from offset: Int) throws(StreamError) -> Int {
        ERR_clear_error()
        let count = bytes.withUnsafeBytes {
            SSL_write(pointer, $0.baseAddress.map { $0 + offset }, Int32(min(bytes.count - offset, 64 * 1024)))
        }
        guard count > 0 else { throw .tls(failureText()) }
        return Int(count)
    }

    func sendCloseNotify() {
        ERR_clear_error()
        SSL_shutdown(pointer)
    }

    private func chosenProtocol() -> String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(pointer, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    private func certificateURIs() -> [String] {
        var uris: [String] = []
        var buffer = [UInt8](repeating: 0, count: 512)
        while uris.count < 8 {
            let count = skerry_ssl_peer_uri(pointer, Int32(uris.count), &buffer, buffer.count)
            if count <= 0 { break }
            uris.append(String(decoding: buffer[..<Int(count)], as: UTF8.self))
        }
        return uris
    }

    private func failureText() -> String {
        let verification = SSL_get_verify_result(pointer)
        if verification != Int(X509_V_OK), let text = X509_verify_cert_error_string(verification) {
            return "certificate: " + String(cString: text)
        }
        return Self.lastError()
    }

    /// Takes the first of libcrypto's queued errors, and empties the queue.
    static func lastError() -> String {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        guard code != 0, let reason = ERR_reason_error_string(code) else { return "connection failed" }
        return String(cString: reason)
    }
}
