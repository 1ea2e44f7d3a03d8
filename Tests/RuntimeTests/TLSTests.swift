import Base
import COpenSSL
import Crypto
import Glibc
import Synchronization
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct TLSTests {
    private struct Outcome: Sendable {
        var echoed = 0
        var clientSaw: TLSPeer?
        var failure: String?
    }

    private func exchange(
        server: TLSContext, client: TLSContext, serverName: String? = nil, bytes: Int = 300_000
    ) async throws -> (client: Outcome, serverSaw: TLSPeer?) {
        let seen = Mutex<TLSPeer?>(nil)
        let outcome = try await withServer(serve: { stream in
            guard (try? await stream.startTLS(server)) != nil else { return }
            seen.withLock { $0 = stream.tls }
            await echo(stream)
        }) { loop, address in
            var outcome = Outcome()
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            do {
                try await stream.startTLS(client, serverName: serverName)
                outcome.clientSaw = stream.tls
                let sending = loop.spawn {
                    try? await stream.send([UInt8](repeating: 1, count: bytes))
                    await stream.finish()
                }
                while try await stream.receive() {
                    outcome.echoed += stream.inbound.count
                    stream.inbound.consume(stream.inbound.count)
                }
                await sending.value
            } catch {
                outcome.failure = "\(error)"
            }
            stream.close()
            return outcome
        }
        return (outcome, seen.withLock { $0 })
    }

    @Test func `both sides prove themselves where the protocol asks for it`() async throws {
        let cluster = try TestCluster()
        let (serverCertificate, serverKey) = try cluster.issue("skerry://c/eu/central")
        let (clientCertificate, clientKey) = try cluster.issue("skerry://c/eu/edge-1")
        let server = try TLSContext.server(
            certificatePEM: serverCertificate, privateKeyPEM: serverKey,
            clientAuthorityPEM: cluster.authority.certificatePEM,
            protocols: ["up/1", "http/1.1"], requireClientCertificateFor: ["up/1"])

        let node = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, certificatePEM: clientCertificate, privateKeyPEM: clientKey,
            protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        let proven = try await exchange(server: server, client: node)
        #expect(proven.client.failure == nil)
        #expect(proven.client.echoed == 300_000)
        #expect(proven.client.clientSaw?.applicationProtocol == "up/1")
        #expect(proven.client.clientSaw?.certificateURIs == ["skerry://c/eu/central"])
        #expect(proven.serverSaw?.certificateURIs == ["skerry://c/eu/edge-1"])

        let anonymous = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        let refused = try await exchange(server: server, client: anonymous)
        #expect(refused.serverSaw == nil && refused.client.echoed == 0)

        let browser = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: ["http/1.1"])
        let plain = try await exchange(server: server, client: browser, serverName: "localhost")
        #expect(plain.client.failure == nil && plain.client.echoed == 300_000)
        #expect(plain.serverSaw?.certificateURIs == [])
        #expect(try await exchange(server: server, client: browser, serverName: "127.0.0.1").client.failure == nil)
        #expect(try await exchange(server: server, client: browser, serverName: "example.org").client.failure != nil)
    }

    @Test func `strangers are refused in both directions`() async throws {
        let cluster = try TestCluster()
        let other = try TestCluster()
        let (serverCertificate, serverKey) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(
            certificatePEM: serverCertificate, privateKeyPEM: serverKey,
            clientAuthorityPEM: cluster.authority.certificatePEM,
            protocols: ["up/1"], requireClientCertificateFor: ["up/1"])
        let (strangerCertificate, strangerKey) = try other.issue("skerry://c/eu/edge-1")
        let stranger = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, certificatePEM: strangerCertificate, privateKeyPEM: strangerKey,
            protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        #expect(try await exchange(server: server, client: stranger).serverSaw == nil)

        let distrustful = try TLSContext.client(
            trustPEM: other.authority.certificatePEM, protocols: ["up/1"], expectedURIPrefix: "skerry://c/")
        #expect(try await exchange(server: server, client: distrustful).client.failure != nil)

        let elsewhere = try TLSContext.client(
            trustPEM: cluster.authority.certificatePEM, protocols: ["up/1"], expectedURIPrefix: "skerry://other/")
        #expect(
            try await exchange(server: server, client: elsewhere).client.failure?.contains("skerry://other/") == true)
    }

    @Test func `closing wakes a sender whose peer does not read`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let client = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: [])
        let error = try await withServer(serve: { stream in
            // Handshakes, and reads nothing from there on until the peer is gone.
            try? await stream.startTLS(server)
            _ = try? await stream.receive()
            try? await stream.loop.sleep(for: .milliseconds(500))
        }) { loop, address -> StreamError? in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            try await stream.startTLS(client, serverName: "localhost")
            loop.schedule(after: .milliseconds(200)) { stream.close(.timedOut) }
            do {
                while true { try await stream.send([UInt8](repeating: 1, count: 1_000_000)) }
            } catch {
                return error as? StreamError
            }
        }
        #expect(error == .timedOut)
    }

    @Test func `a peer that asks for new keys without end does not hold the loop, and is cut off`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let failure = Mutex<StreamError?>(nil)
        let turns = Mutex(0)
        let pool = BlockingPool(threads: 1, name: "flood", queueLimit: 1)
        try await withServer(serve: { stream in
            do throws(StreamError) {
                try await stream.startTLS(server)
                _ = try await stream.receive()
            } catch {
                failure.withLock { $0 = error }
            }
        }) { loop, address in
            let counting = loop.spawn {
                while (try? await loop.sleep(for: .milliseconds(10))) != nil { turns.withLock { $0 += 1 } }
            }
            try await pool.run { requestKeysWithoutEnd(address) }
            counting.cancel()
            await counting.value
        }
        pool.shutdown()
        #expect(failure.withLock { $0 } == .tls("the peer does not read what it makes this side answer"))
        #expect(turns.withLock { $0 } > 5)
    }
}

/// Sends KeyUpdates (RFC 8446 section 4.6.3) that each want one back, and reads none, until the connection is closed.
private func requestKeysWithoutEnd(_ address: SocketAddress) {
    signal(SIGPIPE, SIG_IGN)
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var size: Int32 = 4096
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    let context = SSL_CTX_new(TLS_client_method())
    let session = SSL_new(context)
    defer {
        SSL_free(session)
        SSL_CTX_free(context)
        close(descriptor)
    }
    guard address.withSockaddr({ connect(descriptor, $0, $1) }) == 0, SSL_set_fd(session, descriptor) == 1,
        SSL_connect(session) == 1
    else { return }
    for _ in 0..<2_000_000 {
        guard SSL_key_update(session, SSL_KEY_UPDATE_REQUESTED) == 1, SSL_do_handshake(session) == 1 else { return }
    }
}
