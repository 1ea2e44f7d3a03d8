import Base
import COpenSSL
import CShims

/// One DTLS 1.2 association over datagrams that are fed in and handed out: it never touches a socket. Owner of an SSL.
///
/// Belongs to one loop, or one thread.
public final class DTLSSession {
    public enum State: Equatable, Sendable {
        case handshaking
        case open
        /// The peer has ended it, or a fault did.
        case closed
    }

    /// The largest plaintext of a record (RFC 6347 section 4.1).
    public static let maxRecordBytes = 16_384

    public private(set) var state = State.handshaking
    /// Takes each datagram for the peer, during a call into the session.
    public var transmit: (UnsafeRawBufferPointer) -> Void = { _ in }

    private let context: DTLSContext
    private let pointer: OpaquePointer
    private let link: UnsafeMutablePointer<skerry_dtls_link>

    /// - Parameters:
    ///   - serverName: a client's: what the server's certificate must be for.
    ///   - maxDatagramBytes: of a handshake's datagrams; longer messages go in fragments.
    ///   - firstRetransmission: how long a flight waits for its answer before it is sent again; doubled each time.
    public init(
        _ context: DTLSContext, serverName: String? = nil, maxDatagramBytes: Int, firstRetransmission: Duration
    ) throws(StreamError) {
        guard let created = SSL_new(context.pointer) else { throw .tls(TLSSession.lastError()) }
        self.context = context
        pointer = created
        link = .allocate(capacity: 1)
        link.initialize(to: skerry_dtls_link())
        link.pointee.mtu = Int32(clamping: maxDatagramBytes)
        link.pointee.first_timeout_us = UInt32(clamping: firstRetransmission.milliseconds * 1_000)
        link.pointee.context = Unmanaged.passUnretained(self).toOpaque()
        link.pointee.output = { context, bytes, count in
            guard let context else { return }
            let session = Unmanaged<DTLSSession>.fromOpaque(context).takeUnretainedValue()
            session.transmit(UnsafeRawBufferPointer(start: bytes, count: count))
        }
        guard skerry_dtls_attach(created, link) == 1 else { throw .tls(TLSSession.lastError()) }
        switch context.role {
        case .server: SSL_set_accept_state(created)
        case .client:
            SSL_set_connect_state(created)
            if let serverName {
                let isAddress = IPAddress(serverName) != nil
                if !isAddress { _ = skerry_ssl_set_server_name(created, serverName) }
                guard skerry_ssl_expect_name(created, serverName, isAddress ? 1 : 0) == 1 else {
                    throw .tls("\(serverName) cannot be checked in a certificate")
                }
            }
        }
    }

    deinit {
        SSL_free(pointer)
        link.deallocate()
    }

    // MARK: The handshake

    /// A server's, before anything else: answers a ClientHello without a good cookie with a HelloVerifyRequest, and keeps nothing of
    /// it (RFC 6347 section 4.2.1).
    ///
    /// - Parameters:
    ///   - cookie: what this address may show, and is told to.
    ///   - previousCookie: what it may show too.
    /// - Returns: whether the datagram holds a ClientHello with one of the cookies. The session is that client's from here on.
    func listen(
        _ datagram: UnsafeRawBufferPointer, cookie: UnsafeRawBufferPointer, previousCookie: UnsafeRawBufferPointer
    ) -> Bool {
        withUnsafeMutableBytes(of: &link.pointee.cookie) { $0.copyMemory(from: cookie) }
        withUnsafeMutableBytes(of: &link.pointee.previous_cookie) { $0.copyMemory(from: previousCookie) }
        offer(datagram)
        defer { link.pointee.input_count = 0 }
        return skerry_dtls_listen(pointer) > 0
    }

    /// Begins, or goes on with what has been fed.
    ///
    /// - Throws: when the handshake has failed; the alert for the peer has gone out.
    public func advance() throws(StreamError) {
        guard state == .handshaking else { return }
        ERR_clear_error()
        let result = SSL_do_handshake(pointer)
        if result == 1 {
            state = .open
        } else if SSL_get_error(pointer, result) != SSL_ERROR_WANT_READ {
            state = .closed
            throw .tls(TLSSession.lastError())
        }
    }

    /// How long until `retransmit` is due; nil when no flight waits for an answer.
    public var retransmitsIn: Duration? {
        let left = skerry_dtls_timeout(pointer)
        return left < 0 ? nil : .microseconds(left)
    }

    /// Sends the last flight again if its time has come (RFC 6347 section 4.2.4).
    ///
    /// - Throws: when it has been sent in vain so often that the peer is given up.
    public func retransmit() throws(StreamError) {
        ERR_clear_error()
        if skerry_dtls_retransmit(pointer) < 0 {
            state = .closed
            throw .tls("the peer does not answer the handshake")
        }
    }

    // MARK: Records

    /// Takes one datagram from the peer: goes on with the handshake, or opens its records. Records that are forged, replayed, or out
    /// of their epoch are dropped without a word.
    ///
    /// - Parameters:
    ///   - space: where each record is opened, `maxRecordBytes` long.
    ///   - body: called with the bytes of each record, inside `space`; may send.
    /// - Throws: when the association has failed.
    public func receive(
        _ datagram: UnsafeRawBufferPointer, into space: UnsafeMutableRawBufferPointer,
        _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(StreamError) {
        guard !datagram.isEmpty, state != .closed else { return }
        offer(datagram)
        defer { link.pointee.input_count = 0 }
        try advance()
        while state == .open {
            ERR_clear_error()
            let count = SSL_read(pointer, space.baseAddress, Int32(min(space.count, Self.maxRecordBytes)))
            if count > 0 {
                body(UnsafeMutableRawBufferPointer(rebasing: space[..<Int(count)]))
                continue
            }
            switch SSL_get_error(pointer, count) {
            case SSL_ERROR_WANT_READ: return
            case SSL_ERROR_ZERO_RETURN: state = .closed
            default:
                state = .closed
                throw .tls(TLSSession.lastError())
            }
        }
    }

    /// Seals the bytes as one record in one datagram.
    ///
    /// - Returns: false when the association is not open, or the bytes are more than `maxRecordBytes`.
    public func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard state == .open, bytes.count <= Self.maxRecordBytes, !bytes.isEmpty else { return false }
        ERR_clear_error()
        return SSL_write(pointer, bytes.baseAddress, Int32(bytes.count)) > 0
    }

    /// Tells the peer that nothing more will come. Closing twice does nothing.
    public func close() {
        if state == .open {
            ERR_clear_error()
            SSL_shutdown(pointer)
        }
        state = .closed
    }

    // MARK: What was agreed on

    /// The protocol chosen by ALPN (RFC 7301), once open.
    public var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(pointer, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    /// The name that the client asks for (SNI, RFC 6066), once open; nil without one.
    public var requestedServerName: String? { serverName(askedOn: pointer) }

    /// The name of the SRTP protection profile (RFC 5764 section 4.1.2), as OpenSSL spells it; nil without one.
    public var srtpProfile: String? {
        SSL_get_selected_srtp_profile(pointer).map { String(cString: $0.pointee.name) }
    }

    /// Keys that both sides can compute (RFC 5705), for SRTP those under `EXTRACTOR-dtls_srtp` (RFC 5764 section 4.2).
    ///
    /// - Precondition: the association has been open.
    public func exportKeyingMaterial(label: String, count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
            let done = SSL_export_keying_material(
                pointer, output.baseAddress, count, label, label.utf8.count, nil, 0, 0)
            precondition(done == 1, "keys are exported after the handshake")
            initialized = count
        }
    }

    /// What the client called itself by in its ClientHello: 32 bytes that differ in every handshake.
    func hasClientRandom(_ random: UnsafeRawBufferPointer) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { own in
            SSL_get_client_random(pointer, own.bindMemory(to: UInt8.self).baseAddress, 32) == 32
                && own.elementsEqual(random)
        }
    }

    private func offer(_ datagram: UnsafeRawBufferPointer) {
        link.pointee.input = datagram.bindMemory(to: UInt8.self).baseAddress
        link.pointee.input_count = datagram.count
    }
}
