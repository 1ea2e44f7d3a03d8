import Base
import COpenSSL
import Crypto
import Synchronization
import Testing

@testable import Runtime

/// Which certificate is shown to whom, and what resumes, by OpenSSL's own client.
@Suite(.timeLimit(.minutes(1))) struct TLSCertificateTests {
    /// A server that echoes one connection after the other, and a client of it.
    private func withClient(
        _ context: TLSContext, _ body: @escaping @Sendable (BlockingTLSClient) async throws -> Void
    ) async throws {
        let pool = BlockingPool(threads: 1, name: "client", queueLimit: 16)
        try await withServer(serve: { stream in
            guard (try? await stream.startTLS(context)) != nil else { return }
            await echo(stream)
        }) { _, address in
            try await body(BlockingTLSClient(address, pool))
        }
        pool.shutdown()
    }

    private func server(
        _ cluster: TestCluster, _ named: [TLSCertificate], tickets: TLSTicketKeys? = nil
    ) throws -> TLSContext {
        let own = try cluster.certificate("node.internal")
        return try TLSContext.server(
            certificatePEM: own.certificatePEM, privateKeyPEM: own.privateKeyPEM,
            clientAuthorityPEM: cluster.authority.certificatePEM, namedCertificates: named,
            protocols: ["http/1.1", "sibling/1"], requireClientCertificateFor: ["sibling/1"], ticketKeys: tickets)
    }

    @Test func `a client is shown the certificate for the name that it asks for`() async throws {
        let cluster = try TestCluster()
        let context = try server(
            cluster,
            [
                try cluster.certificate("first.example", "www.first.example"),
                try cluster.certificate("*.second.example"),
                try cluster.certificate("third.second.example"),
            ])
        let expected = [
            ("first.example", "first.example"), ("WWW.First.Example", "first.example"),
            ("any.second.example", "*.second.example"), ("third.second.example", "third.second.example"),
            // A wildcard stands for one label, and not for none.
            ("two.labels.second.example", "first.example"), ("second.example", "first.example"),
            ("nobody.example", "first.example"), ("com", "first.example"),
        ]
        try await withClient(context) { client in
            for (asked, shown) in expected {
                let outcome = try await client.connect(.init(serverName: asked))
                #expect(outcome.shownName == shown, "\(asked)")
            }
            #expect(try await client.connect().shownName == "first.example")
            let older = try await client.connect(.init(serverName: "any.second.example", version: TLS1_2_VERSION))
            #expect(older.shownName == "*.second.example")
        }
    }

    @Test func `other nodes are shown the node's own certificate, and have to show one`() async throws {
        let cluster = try TestCluster()
        let keys = TLSTicketKeys(rotation: .seconds(3600))
        let context = try server(cluster, [try cluster.certificate("first.example")], tickets: keys)
        let sibling = try cluster.issue("skerry://c/eu/edge-2")
        try await withClient(context) { client in
            for version in [TLS1_2_VERSION, TLS1_3_VERSION] {
                let proven = BlockingTLSClient.Offer(
                    serverName: "first.example", protocols: ["sibling/1"], version: version, certificate: sibling)
                let outcome = try await client.connect(proven)
                #expect(outcome.isConnected && outcome.shownName == "node.internal")
                #expect(outcome.applicationProtocol == "sibling/1" && outcome.ticketLife == 0)
                #expect(try await client.connect(proven, resumes: true).isResumed == false)

                // A session of the public protocol does not open the other one, with a certificate or without.
                let open = BlockingTLSClient.Offer(protocols: ["http/1.1"], version: version)
                #expect(try await client.connect(open).shownName == "first.example")
                #expect(try await client.connect(open, resumes: true).isResumed)
                let closed = BlockingTLSClient.Offer(protocols: ["sibling/1"], version: version)
                #expect(try await client.connect(closed, resumes: true).isConnected == false)
                let again = try await client.connect(proven, resumes: true)
                #expect(again.isConnected && !again.isResumed)

                // Whoever offers both gets the one that is preferred.
                let both = BlockingTLSClient.Offer(protocols: ["sibling/1", "http/1.1"], version: version)
                let preferred = try await client.connect(both)
                #expect(preferred.applicationProtocol == "http/1.1" && preferred.shownName == "first.example")
            }
        }
    }

    @Test func `certificates are replaced for new connections, and what is broken changes nothing`() async throws {
        let cluster = try TestCluster()
        let keys = TLSTicketKeys(rotation: .seconds(3600))
        let context = try server(cluster, [try cluster.certificate("old.example")], tickets: keys)
        let own = try cluster.certificate("node.internal")
        let other = try cluster.certificate("new.example")
        let third = try cluster.certificate("third.example")
        let mixed = TLSCertificate(certificatePEM: other.certificatePEM, privateKeyPEM: third.privateKeyPEM)
        try await withClient(context) { client in
            for version in [TLS1_2_VERSION, TLS1_3_VERSION] {
                #expect(try await client.connect(.init(version: version)).isConnected)
                try context.replace(
                    certificate: own, authorityPEM: cluster.authority.certificatePEM, namedCertificates: [other])
                // Tickets outlive the certificates.
                #expect(try await client.connect(.init(version: version), resumes: true).isResumed)
                #expect(try await client.connect(.init(version: version)).shownName == "new.example")
                for wrong in [mixed, TLSCertificate(certificatePEM: "", privateKeyPEM: other.privateKeyPEM)] {
                    #expect(throws: StreamError.self) {
                        try context.replace(
                            certificate: own, authorityPEM: cluster.authority.certificatePEM,
                            namedCertificates: [third, wrong])
                    }
                }
                #expect(try await client.connect(.init(version: version)).shownName == "new.example")
            }
        }
    }

    @Test func `a connection keeps the certificates that it began with`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let client = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: [])
        let replacement = try cluster.certificate("localhost")
        let answer = try await withServer(serve: { stream in
            guard (try? await stream.startTLS(server)) != nil else { return }
            await echo(stream)
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            defer { stream.close() }
            try await stream.startTLS(client, serverName: "localhost")
            try server.replace(certificate: replacement, authorityPEM: nil)
            try await stream.send(Array("still here".utf8))
            guard try await stream.receive() else { return "" }
            return String(decoding: stream.inbound.take(stream.inbound.count), as: UTF8.self)
        }
        #expect(answer == "still here")
    }

    @Test func `tickets are sealed with a key that is replaced, and the one before it still opens them`() async throws {
        let cluster = try TestCluster()
        let now = Mutex(MonotonicClock.now())
        let keys = TLSTicketKeys(rotation: .seconds(3600)) { now.withLock { $0 } }
        let context = try server(cluster, [], tickets: keys)
        try await withClient(context) { client in
            for version in [TLS1_2_VERSION, TLS1_3_VERSION] {
                let offer = BlockingTLSClient.Offer(version: version)
                let first = try await client.connect(offer)
                #expect(first.isConnected && !first.isResumed && first.ticketLife == 3600)
                #expect(try await client.connect(offer, resumes: true).isResumed)
                // The key before opens the ticket, and seals no other.
                now.withLock { $0 = $0 + .seconds(3601) }
                #expect(try await client.connect(offer, resumes: true).isResumed)
                now.withLock { $0 = $0 + .seconds(3601) }
                #expect(try await client.connect(offer, resumes: true).isResumed)
                // Both keys are gone.
                now.withLock { $0 = $0 + .seconds(7201) }
                let late = try await client.connect(offer, resumes: true)
                #expect(late.isConnected && !late.isResumed)
                // The ticket of a key that was replaced without anybody looking.
                now.withLock { $0 = $0 + .seconds(3600) }
                #expect(try await client.connect(.init(version: version)).isConnected)
                now.withLock { $0 = $0 + .seconds(3600) }
                #expect(try await client.connect(.init(version: version), resumes: true).isResumed)
            }
        }
    }

    @Test func `without keys there are no tickets`() async throws {
        let cluster = try TestCluster()
        let context = try server(cluster, [])
        try await withClient(context) { client in
            for version in [TLS1_2_VERSION, TLS1_3_VERSION] {
                let outcome = try await client.connect(.init(version: version))
                #expect(outcome.isConnected && outcome.ticketLife == 0)
                #expect(try await client.connect(.init(version: version), resumes: true).isResumed == false)
            }
        }
    }

    @Test func `what comes with the end of the handshake is received`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let client = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: [])
        let received = Mutex("")
        try await withServer(serve: { stream in
            do {
                try await stream.startTLS(server)
                // The hello, all of it, arrived with the client's Finished or behind it.
                while try await stream.receive() {
                    let text = String(decoding: stream.inbound.take(stream.inbound.count), as: UTF8.self)
                    received.withLock { $0 += text }
                }
            } catch {}
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            try await stream.startTLS(client, serverName: "localhost")
            // One turn of the loop: the server has not looked since it sent its flight.
            try await stream.send(pieces: [Array("hel".utf8), [], Array("lo".utf8)])
            await stream.finish()
            while try await stream.receive() {}
            stream.close()
        }
        #expect(received.withLock { $0 } == "hello")
    }

    @Test(arguments: [
        [100, 100], [200, 16_384], [16_384, 200, 1], [70_000, 5, 3000], [0, 3000, 0], [2048, 2049, 64_000],
    ])
    func `pieces arrive in order, however they are put into records`(_ counts: [Int]) async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let client = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: [])
        let pieces = counts.enumerated().map { [UInt8](repeating: UInt8($0.offset + 1), count: $0.element) }
        let echoed = try await withServer(serve: { stream in
            guard (try? await stream.startTLS(server)) != nil else { return }
            await echo(stream)
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            try await stream.startTLS(client, serverName: "localhost")
            try await stream.send(pieces: pieces)
            await stream.finish()
            var bytes: [UInt8] = []
            while try await stream.receive() { bytes += stream.inbound.take(stream.inbound.count) }
            stream.close()
            return bytes
        }
        #expect(echoed == Array(pieces.joined()))
    }
}
