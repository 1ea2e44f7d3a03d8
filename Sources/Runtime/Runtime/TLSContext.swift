import COpenSSL
import CShims
import Synchronization

/// What TLS proved of the other side.
public struct TLSPeer: Sendable {
    /// The protocol chosen by ALPN (RFC 7301).
    public let applicationProtocol: String?
    /// The URIs of the peer certificate's subjectAltName; empty without a certificate.
    public let certificateURIs: [String]
}

/// Certificates, trust and protocols for TLS 1.2 and 1.3 in one role. Certificates can be replaced while connections stand: those
/// keep what they began with.
public final class TLSContext: Sendable {
    private let policy: TLSPolicy
    private let identities: Mutex<TLSIdentities>

    /// For the side that accepts.
    ///
    /// A client is shown the first of `namedCertificates` that has the name it asks for (RFC 6066 section 3), exactly or by a
    /// wildcard; a name that none has, or no name, gets the first of all. Certificates for the same names with different kinds of key
    /// stand side by side. Without named certificates, everybody is shown the node's own.
    ///
    /// - Parameters:
    ///   - certificatePEM: the node's own certificate, and the chain behind it.
    ///   - clientAuthorityPEM: who may sign client certificates.
    ///   - namedCertificates: for clients that choose no protocol of `requireClientCertificateFor`.
    ///   - protocols: ALPN protocols in the order of preference; a client that offers none of them gets no ALPN answer.
    ///   - requireClientCertificateFor: protocols whose clients must show a certificate of that authority, and are shown the
    ///     node's own. Their sessions are never resumed.
    ///   - ticketKeys: for the session tickets of all others; nil for none.
    public static func server(
        certificatePEM: String, privateKeyPEM: String, clientAuthorityPEM: String? = nil,
        namedCertificates: [TLSCertificate] = [], protocols: [String],
        requireClientCertificateFor required: Set<String> = [], ticketKeys: TLSTicketKeys? = nil
    ) throws -> TLSContext {
        try TLSContext(
            TLSPolicy(
                role: .server, protocols: ALPNProtocols(protocols), certificateRequiredFor: required,
                ticketKeys: ticketKeys),
            TLSCertificate(certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM), clientAuthorityPEM,
            namedCertificates)
    }

    /// For the side that connects. The server's certificate is always checked: against `expectedURIPrefix` when given, else against
    /// the server name of the connection.
    ///
    /// - Parameter trustPEM: authorities to trust; nil for the system's.
    public static func client(
        trustPEM: String? = nil, certificatePEM: String? = nil, privateKeyPEM: String? = nil, protocols: [String],
        expectedURIPrefix: String? = nil
    ) throws -> TLSContext {
        var certificate: TLSCertificate?
        if let certificatePEM, let privateKeyPEM {
            certificate = TLSCertificate(certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM)
        }
        return try TLSContext(
            TLSPolicy(role: .client, protocols: ALPNProtocols(protocols), expectedURIPrefix: expectedURIPrefix),
            certificate, trustPEM, [])
    }

    private init(
        _ policy: TLSPolicy, _ certificate: TLSCertificate?, _ authorityPEM: String?, _ named: [TLSCertificate]
    ) throws(StreamError) {
        self.policy = policy
        identities = Mutex(
            try TLSIdentities(policy, own: certificate, authorityPEM: authorityPEM, named: named))
    }

    /// What new connections begin with.
    var current: TLSIdentities { identities.withLock { $0 } }

    /// Replaces every certificate, for connections that begin from here on.
    ///
    /// - Throws: `StreamError.tls` when a certificate is not what it should be; nothing is replaced then.
    public func replace(
        certificate: TLSCertificate?, authorityPEM: String?, namedCertificates: [TLSCertificate] = []
    ) throws(StreamError) {
        let fresh = try TLSIdentities(
            policy, own: certificate, authorityPEM: authorityPEM, named: namedCertificates)
        identities.withLock { $0 = fresh }
    }
}
