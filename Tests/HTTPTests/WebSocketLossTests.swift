import Base
import Crypto
import HTTPCodec
import Runtime
import Synchronization
import Testing
import WebSocketCodec

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct WebSocketLossTests {
    /// The records that the kernel had no room for are left; then the peer ends its side, and never reads. Neither the ping that
    /// is due meanwhile nor a message may meet the task that waits to flush them, and that task may not wait for ever.
    @Test func aPeerThatEndsUnderTLSWithoutReadingIsGivenUp() async throws {
        let now = WallClock.now()
        let (authorityPEM, authorityKey) = CertificateAuthority.generate(name: "test", now: now)
        let authority = try CertificateAuthority(certificatePEM: authorityPEM, privateKeyPEM: authorityKey)
        let (request, key) = CertificateRequest.generate(commonName: "server")
        let names = CertificateNames(uri: "skerry://test/a/b", dnsNames: ["localhost"], ipAddresses: [])
        let certificate = try authority.sign(requestPEM: request, names: names, now: now, validity: .seconds(3600))
        let serverTLS = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: ["ws"])
        let clientTLS = try TLSContext.client(trustPEM: authorityPEM, protocols: ["ws"])
        let isOver = Atomic<Bool>(false)
        let serve: EdgeListener.ConnectionHandler = { stream in
            var configuration = WebSocket.Configuration()
            configuration.pingIntervalMs = 200
            configuration.closeTimeoutMs = 600
            configuration.pongTimeoutMs = 60_000
            let webSocket = WebSocket(
                over: stream, role: .server, subprotocol: nil, maxMessageBytes: 1000, configuration: configuration)
            while !stream.hasUnsentBytes {
                webSocket.offer(binary: [UInt8](repeating: 7, count: 60_000))
                await Task.yield()
            }
            #expect((try? await webSocket.receive()) == .some(nil))
            #expect(webSocket.closeCode == WebSocket.abnormalCode && stream.isClosed)
            isOver.store(true, ordering: .releasing)
        }
        try await TestServer.run(tls: serverTLS, protocols: ["ws": serve]) { _ in
        } _: { server in
            try await server.onLoop { stream in
                try await stream.startTLS(clientTLS, serverName: "localhost")
                await stream.finish()
                while !isOver.load(ordering: .acquiring) { await Task.yield() }
            }
        }
    }
}
