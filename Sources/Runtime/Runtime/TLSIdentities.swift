import Base
import COpenSSL
import CShims

/// What a context was made for, whatever certificates it has in the course of time.
struct TLSPolicy: Sendable {
    enum Role { case server, client }

    let role: Role
    let protocols: ALPNProtocols
    /// A server's: whoever chooses one of them has to show a certificate.
    var certificateRequiredFor: Set<String> = []
    /// A client's: the server's certificate must have a URI with this prefix; instead of its name being checked.
    var expectedURIPrefix: String?
    /// A server's; nil for no session tickets.
    var ticketKeys: TLSTicketKeys?

    /// What is wrong with a peer that OpenSSL lets pass.
    func objection(to peer: TLSPeer, hasCertificate: Bool) -> String? {
        if let expectedURIPrefix, !peer.certificateURIs.contains(where: { $0.hasPrefix(expectedURIPrefix) }) {
            return "the server's certificate names no \(expectedURIPrefix)…"
        }
        if let name = peer.applicationProtocol, certificateRequiredFor.contains(name), !hasCertificate {
            return "the client has shown no certificate"
        }
        return nil
    }
}

/// The certificates of a context at one time: an SSL_CTX for each, and the choice among them. A connection keeps those it began with.
///
/// `@unchecked Sendable`: not changed after `init`; OpenSSL allows concurrent use of such contexts.
final class TLSIdentities: @unchecked Sendable {
    let policy: TLSPolicy
    /// What a connection begins with.
    let initial: OpaquePointer
    /// Shows the node's own certificate, and knows who may sign those of clients.
    private let own: OpaquePointer
    private var owned: [OpaquePointer] = []
    private var exactNames: [String: OpaquePointer] = [:]
    /// By what stands behind `*.`.
    private var wildcardNames: [String: OpaquePointer] = [:]

    /// - Throws: `StreamError.tls`, with what is wrong with a certificate or key.
    init(
        _ policy: TLSPolicy, own certificate: TLSCertificate?, authorityPEM: String?, named: [TLSCertificate]
    ) throws(StreamError) {
        var contexts = [try Self.makeContext(policy)]
        do throws(StreamError) {
            if let certificate { try Self.use(certificate, contexts[0]) }
            if let authorityPEM {
                guard skerry_ctx_trust_pem(contexts[0], authorityPEM) == 1 else {
                    throw .tls("no certificate authority in the PEM text: \(TLSSession.lastError())")
                }
            } else if policy.role == .client {
                SSL_CTX_set_default_verify_paths(contexts[0])
            }
            // Certificates for the same names that differ in their kind of key stand side by side, the client's algorithms decide.
            var groups: [(names: [String], keyTypes: Set<Int32>, context: OpaquePointer)] = []
            for certificate in named {
                let names = certificate.dnsNames.sorted()
                let keyType = certificate.keyType
                if let index = groups.firstIndex(where: { $0.names == names && !$0.keyTypes.contains(keyType) }) {
                    try Self.use(certificate, groups[index].context)
                    groups[index].keyTypes.insert(keyType)
                } else {
                    contexts.append(try Self.makeContext(policy))
                    try Self.use(certificate, contexts[contexts.count - 1])
                    groups.append((names, [keyType], contexts[contexts.count - 1]))
                }
            }
            for group in groups {
                for name in group.names {
                    if name.hasPrefix("*.") {
                        wildcardNames[String(name.dropFirst(2))] =
                            wildcardNames[String(name.dropFirst(2))] ?? group.context
                    } else {
                        exactNames[name] = exactNames[name] ?? group.context
                    }
                }
            }
        } catch {
            for context in contexts { SSL_CTX_free(context) }
            throw error
        }
        self.policy = policy
        own = contexts[0]
        initial = contexts.count > 1 ? contexts[1] : contexts[0]
        owned = contexts
        for context in contexts { attach(context) }
    }

    deinit { for context in owned { SSL_CTX_free(context) } }

    private static func makeContext(_ policy: TLSPolicy) throws(StreamError) -> OpaquePointer {
        guard let created = SSL_CTX_new(policy.role == .server ? TLS_server_method() : TLS_client_method()),
            skerry_ctx_apply_policy(created) == 1, skerry_ctx_set_minimum_tls12(created) == 1
        else { throw .tls(TLSSession.lastError()) }
        return created
    }

    private static func use(_ certificate: TLSCertificate, _ context: OpaquePointer) throws(StreamError) {
        guard skerry_ctx_use_pem(context, certificate.certificatePEM, certificate.privateKeyPEM) == 1 else {
            throw .tls("certificate and private key do not fit: \(TLSSession.lastError())")
        }
    }

    /// Lets the context's connections find back to this object, which outlives them: their sessions keep it.
    private func attach(_ context: OpaquePointer) {
        guard policy.role == .server else { return attachClient(context) }
        SSL_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(self).toOpaque())
        SSL_CTX_set_client_hello_cb(context, answerClientHello, nil)
        SSL_CTX_set_alpn_select_cb(
            context, selectALPNProtocol, Unmanaged.passUnretained(policy.protocols).toOpaque())
        SSL_CTX_set_session_id_context(context, Self.sessionScope, UInt32(Self.sessionScope.count))
        if let keys = policy.ticketKeys {
            // A week at most (RFC 8446 section 4.6.1).
            let seconds = max(1, min(keys.rotation.milliseconds / 1000, 604_800))
            let done = skerry_ctx_use_tickets(context, sealOrOpenTicket, Int(seconds))
            precondition(done == 1, "OpenSSL takes a callback for tickets")
        }
    }

    private func attachClient(_ context: OpaquePointer) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        let wire = policy.protocols.wire
        if !wire.isEmpty { SSL_CTX_set_alpn_protos(context, wire, UInt32(wire.count)) }
    }

    /// A ticket of one scope is none in the other.
    private static let sessionScope = Array("public".utf8)
    private static let provenScope = Array("proven".utf8)

    /// The certificate for the name that a client asks for: its own, that of its wildcard, or the first.
    private func context(for name: UnsafeBufferPointer<UInt8>) -> OpaquePointer {
        let name = String(decoding: name, as: UTF8.self).lowercased()
        if let exact = exactNames[name] { return exact }
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return initial }
        return wildcardNames[String(name[name.index(after: dot)...])] ?? initial
    }

    /// Decides which certificate is shown and whether one is asked for, before anything else of the hello is looked at.
    fileprivate func answer(_ session: OpaquePointer) {
        if let offered = Self.hello(session, TLSEXT_TYPE_application_layer_protocol_negotiation)?.dropFirst(2),
            let chosen = policy.protocols.choose(from: UnsafeBufferPointer(rebasing: offered)),
            policy.certificateRequiredFor.contains(String(decoding: chosen, as: UTF8.self))
        {
            SSL_set_SSL_CTX(session, own)
            SSL_set_verify(session, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
            // A resumed session would skip the check of a certificate that has been revoked since.
            SSL_set_session_id_context(session, Self.provenScope, UInt32(Self.provenScope.count))
            skerry_ssl_hide_tickets(session)
            return
        }
        guard initial != own, let name = Self.hello(session, TLSEXT_TYPE_server_name).flatMap(Self.hostName) else {
            return
        }
        let wanted = context(for: name)
        if wanted != SSL_get_SSL_CTX(session) { SSL_set_SSL_CTX(session, wanted) }
    }

    private static func hello(_ session: OpaquePointer, _ type: Int32) -> UnsafeBufferPointer<UInt8>? {
        var bytes: UnsafePointer<UInt8>?
        var count = 0
        guard skerry_ssl_hello_extension(session, UInt32(type), &bytes, &count) == 1 else { return nil }
        return UnsafeBufferPointer(start: bytes, count: count)
    }

    /// The name in a server_name extension (RFC 6066 section 3), of which OpenSSL checks the form later.
    private static func hostName(_ bytes: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
        guard bytes.count > 5, bytes[2] == TLSEXT_NAMETYPE_host_name else { return nil }
        let count = Int(bytes[3]) << 8 | Int(bytes[4])
        guard count > 0, count <= 255, bytes.count >= 5 + count else { return nil }
        return UnsafeBufferPointer(rebasing: bytes[5..<5 + count])
    }
}

private func identities(of session: OpaquePointer) -> TLSIdentities? {
    SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), 0).map {
        Unmanaged<TLSIdentities>.fromOpaque($0).takeUnretainedValue()
    }
}

private func answerClientHello(
    session: OpaquePointer?, alert: UnsafeMutablePointer<Int32>?, argument: UnsafeMutableRawPointer?
) -> Int32 {
    if let session { identities(of: session)?.answer(session) }
    return SSL_CLIENT_HELLO_SUCCESS
}

private func sealOrOpenTicket(
    session: OpaquePointer?, name: UnsafeMutablePointer<UInt8>?, iv: UnsafeMutablePointer<UInt8>?,
    cipher: OpaquePointer?, mac: OpaquePointer?, seals: Int32
) -> Int32 {
    guard let session, let name, let iv, let keys = identities(of: session)?.policy.ticketKeys else { return 0 }
    return seals == 1 ? keys.seal(cipher, mac, name: name, iv: iv) : keys.open(cipher, mac, name: name, iv: iv)
}
