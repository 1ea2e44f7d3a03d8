import Base
package import Runtime
import Synchronization

/// The certificates that a relay shows, over TLS and over DTLS.
package struct RelayCertificates: Sendable {
    /// By the name that a client asks for; the first is for every other name, and for DTLS.
    let certificates: [TLSCertificate]

    /// - Precondition: there is at least one.
    package init(_ certificates: [TLSCertificate]) {
        precondition(!certificates.isEmpty)
        self.certificates = certificates
    }

    /// RFC 7443. A client that offers no protocol is served the same.
    private static let protocols = ["stun.turn", "stun.nat-discovery"]

    func tlsContext() throws -> TLSContext {
        try TLSContext.server(
            certificatePEM: certificates[0].certificatePEM, privateKeyPEM: certificates[0].privateKeyPEM,
            namedCertificates: certificates, protocols: Self.protocols)
    }

    func replace(in context: TLSContext) throws {
        try context.replace(certificate: certificates[0], authorityPEM: nil, namedCertificates: certificates)
    }

    func dtlsContext() throws -> DTLSContext {
        try DTLSContext.server(
            certificatePEM: certificates[0].certificatePEM, privateKeyPEM: certificates[0].privateKeyPEM,
            protocols: Self.protocols)
    }
}

/// Where a relay accepts connections over TCP and TLS: each goes to the relay of the event loop that it came to.
final class RelayStreamListeners: Sendable {
    private let listeners: Mutex<[TCPListener]>

    /// Listens.
    ///
    /// - Parameters:
    ///   - plain: for TCP.
    ///   - secured: for TLS.
    init(
        plain: [SocketAddress], secured: [SocketAddress], tls: TLSContext?, relayLoops: [RelayLoop], backlog: Int
    ) throws {
        var listeners: [TCPListener] = []
        do {
            for (index, address) in plain.enumerated() {
                listeners.append(try Self.listen(address, UInt8(index), nil, relayLoops, backlog))
            }
            if let tls {
                for (index, address) in secured.enumerated() {
                    listeners.append(try Self.listen(address, UInt8(index), tls, relayLoops, backlog))
                }
            }
        } catch {
            for listener in listeners { listener.close() }
            throw error
        }
        self.listeners = Mutex(listeners)
    }

    private static func listen(
        _ address: SocketAddress, _ index: UInt8, _ tls: TLSContext?, _ relayLoops: [RelayLoop], _ backlog: Int
    ) throws -> TCPListener {
        do {
            return try TCPListener.listen(on: address, loops: relayLoops.map(\.loop), backlog: Int32(backlog)) {
                stream in
                guard let relayLoop = relayLoops.first(where: { $0.loop === stream.loop }) else {
                    return stream.close()
                }
                relayLoop.accept(stream, listener: index, tls: tls)
            }
        } catch {
            throw EdgeError(.io, "the relay cannot listen on \(address) for TCP", side: .internal, cause: error)
        }
    }

    /// Accepts nothing more. Closing twice does nothing.
    func close() {
        for listener in listeners.withLock({ $0 }) { listener.close() }
    }
}
