import Base
import COpenSSL
import CShims

/// One TLS connection over its loop's scratch memory: sealed bytes are fed in and taken out, it never touches a socket. Owner of an SSL.
///
/// Belongs to one stream and so to one loop. What was fed has been opened, or is kept as part of a record, when a call returns.
final class TLSSession {
    private let identities: TLSIdentities
    private let pointer: OpaquePointer
    private let sealed: UnsafeMutablePointer<skerry_tls_scratch>
    private(set) var peer: TLSPeer?
    /// The peer has sent close_notify.
    private(set) var isEnded = false
    /// Why nothing more can be opened or sealed.
    private(set) var failure: StreamError?

    /// The name that the client asks for (SNI, RFC 6066), once the handshake is made; nil without one.
    var requestedServerName: String? { serverName(askedOn: pointer) }

    /// - Parameter scratch: the loop's; it has to outlive the session.
    init(_ context: TLSContext, serverName: String?, scratch: TLSScratch) throws(StreamError) {
        let identities = context.current
        guard let created = SSL_new(identities.initial) else { throw .tls(Self.lastError()) }
        self.identities = identities
        pointer = created
        sealed = scratch.sealed
        guard skerry_ssl_use_scratch(created, sealed) == 1 else { throw .tls(Self.lastError()) }
        switch identities.policy.role {
        case .server: SSL_set_accept_state(created)
        case .client:
            SSL_set_connect_state(created)
            if let serverName {
                if IPAddress(serverName) == nil { _ = skerry_ssl_set_server_name(created, serverName) }
                if identities.policy.expectedURIPrefix == nil,
                    skerry_ssl_expect_name(created, serverName, IPAddress(serverName) != nil ? 1 : 0) != 1
                {
                    throw .tls("\(serverName) cannot be checked in a certificate")
                }
            }
        }
    }

    deinit { SSL_free(pointer) }

    /// What one connection has sealed must have left the scratch before the next one works in it: it would reach the wrong peer.
    private func takeTurn() {
        precondition(
            sealed.pointee.output_count == 0 || sealed.pointee.connection == UnsafeRawPointer(pointer),
            "sealed bytes of another connection were not flushed")
        sealed.pointee.connection = UnsafeRawPointer(pointer)
    }

    /// Sealed bytes from the peer, for the next call of `handshake` or `open`; they have to stay until it returns.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        takeTurn()
        sealed.pointee.input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        sealed.pointee.input_count = bytes.count
    }

    /// One step. Returns true when the handshake is complete, false when it needs more from the peer. What was fed behind the
    /// peer's last message is left for `open`, which must follow.
    func handshake() throws(StreamError) -> Bool {
        Self.forgetErrors()
        let result = SSL_do_handshake(pointer)
        if result != 1 {
            guard SSL_get_error(pointer, result) == SSL_ERROR_WANT_READ else { throw fail(failureText()) }
            return false
        }
        let proven = TLSPeer(applicationProtocol: chosenProtocol(), certificateURIs: certificateURIs())
        if let text = identities.policy.objection(to: proven, hasCertificate: hasPeerCertificate) { throw fail(text) }
        peer = proven
        return true
    }

    /// Opens all that was fed, behind the bytes in the buffer; returns how many bytes. An error is thrown when everything
    /// before it was handed over: by the next call.
    func open(into buffer: inout ReceiveBuffer) throws(StreamError) -> Int {
        defer { sealed.pointee.input_count = 0 }
        if let failure { throw failure }
        var total = 0
        while !isEnded {
            let capacity = max(Int(SSL_pending(pointer)), min(sealed.pointee.input_count, 16 * 1024))
            if capacity == 0 { break }
            Self.forgetErrors()
            let count = buffer.append(capacity: capacity) { space in
                Int(SSL_read(pointer, space.baseAddress, Int32(clamping: space.count)))
            }
            if count > 0 {
                total += count
                continue
            }
            switch SSL_get_error(pointer, Int32(count)) {
            case SSL_ERROR_WANT_READ: break
            case SSL_ERROR_ZERO_RETURN: isEnded = true
            default:
                let error = fail(failureText())
                if total == 0 { throw error }
                return total
            }
        }
        return total
    }

    /// Seals some of the bytes, at most one turn's; returns how many.
    func seal(_ bytes: UnsafeRawBufferPointer) throws(StreamError) -> Int {
        if let failure { throw failure }
        return try checkSealed(write(bytes))
    }

    func seal(_ bytes: [UInt8], from offset: Int) throws(StreamError) -> Int {
        if let failure { throw failure }
        return try checkSealed(bytes.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[offset...])) })
    }

    private func write(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        takeTurn()
        Self.forgetErrors()
        return SSL_write(pointer, bytes.baseAddress, Int32(min(bytes.count, TLSScratch.turnBytes)))
    }

    private func checkSealed(_ count: Int32) throws(StreamError) -> Int {
        guard count > 0 else {
            // The caller is not going to flush.
            skerry_tls_scratch_trim(sealed)
            throw fail(failureText())
        }
        return Int(count)
    }

    func sendCloseNotify() {
        takeTurn()
        Self.forgetErrors()
        SSL_shutdown(pointer)
        Self.forgetErrors()
    }

    private func fail(_ text: String) -> StreamError {
        sealed.pointee.input_count = 0
        let error = StreamError.tls(text)
        failure = error
        return error
    }

    private func chosenProtocol() -> String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(pointer, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    private var hasPeerCertificate: Bool { SSL_get0_peer_certificate(pointer) != nil }

    private func certificateURIs() -> [String] {
        guard hasPeerCertificate else { return [] }
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
            Self.forgetErrors()
            return "certificate: " + String(cString: text)
        }
        return Self.lastError()
    }

    /// SSL_get_error looks into the thread's queue of errors, where anybody may have left one. Emptying it costs more than looking.
    private static func forgetErrors() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// Takes the first of libcrypto's queued errors, and empties the queue.
    static func lastError() -> String {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        guard code != 0, let reason = ERR_reason_error_string(code) else { return "connection failed" }
        return String(cString: reason)
    }
}
