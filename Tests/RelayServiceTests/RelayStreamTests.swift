import Base
import Crypto
import RelayEngine
import Runtime
import STUN
import Testing

@testable import RelayService

@Suite(.timeLimit(.minutes(1))) struct RelayStreamTests {
    /// A relay with a certificate that its clients trust, and a body on a loop of its own.
    private func withStreams<Result: Sendable>(
        _ change: @escaping @Sendable (inout RelayService.Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (RunningRelay, EventLoop, TestCertificates) async throws -> Result
    ) async throws -> Result {
        let certificates = try TestCertificates()
        return try await withRelay(certificates: RelayCertificates([try certificates.issue()]), change) { relay in
            let clients = try EventLoopGroup(count: 1, name: "clients")
            defer { clients.shutdown() }
            let loop = clients.loops[0]
            return try await Task(executorPreference: loop) { try await body(relay, loop, certificates) }.value
        }
    }

    /// A peer that sends back what it gets.
    private func echo(on loop: EventLoop) throws -> UDPSocket {
        let peer = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
        try peer.start { datagram, source, _ in peer.send(UnsafeRawBufferPointer(datagram), to: source) }
        return peer
    }

    private func eventually(_ condition: () -> Bool) async throws {
        while !condition() { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test func `clients are told of every transport`() async throws {
        let (urls, plain, secured) = try await withStreams {
            $0.publicHost = "turn.example.net"
        } _: { relay, _, _ in
            (relay.service.urls, relay.service.listenAddresses[0].port, relay.service.tlsListenAddresses[0].port)
        }
        #expect(
            urls == [
                "stun:turn.example.net:\(plain)", "turn:turn.example.net:\(plain)?transport=udp",
                "turn:turn.example.net:\(plain)?transport=tcp", "turns:turn.example.net:\(secured)?transport=tcp",
                "turns:turn.example.net:\(secured)?transport=udp",
            ])
    }

    @Test(arguments: [false, true])
    func `messages of every size go to a peer and back, however the stream is cut`(isTLS: Bool) async throws {
        try await withStreams { relay, loop, certificates in
            let server = isTLS ? relay.service.tlsListenAddresses[0] : relay.service.listenAddresses[0]
            let client = try await StreamTURNClient(
                server, relay.credentials, tls: isTLS ? certificates.client() : nil, on: loop)
            let peer = try self.echo(on: loop)
            #expect(try await client.allocate().ip == .loopbackV4)
            try await client.bindChannel(0x4000, to: peer.localAddress)
            if isTLS { #expect(client.stream.tls?.applicationProtocol == "stun.turn") }

            let payloads = (0..<40).map { [UInt8](repeating: UInt8($0), count: $0 < 20 ? $0 : $0 * 30) }
            let bytes = payloads.flatMap { StreamTURNClient.channelData(0x4000, $0) }
            var offset = 0
            for size in [1, 2, 3, 5, 700, 4, bytes.count] where offset < bytes.count {
                try await client.stream.send(Array(bytes[offset..<min(bytes.count, offset + size)]))
                offset = min(bytes.count, offset + size)
            }
            for payload in payloads {
                let message = try #require(try await client.relayed())
                #expect(ChannelData.read(message.span.bytes)?.channel == 0x4000)
                #expect(Array(message[4...]) == payload)
            }
            client.close()
            peer.close()
            try await self.eventually { relay.service.allocationCount == 0 }
        }
    }

    @Test func `what is no message ends the connection, and its allocation`() async throws {
        try await withStreams { relay, loop, _ in
            let client = try await StreamTURNClient(relay.service.listenAddresses[0], relay.credentials, on: loop)
            _ = try await client.allocate()
            #expect(relay.service.allocationCount == 1)
            try await client.stream.send([0x16, 0x03, 0x01, 0x00, 0x05])
            #expect(try await client.message() == nil)
            client.close()
            try await self.eventually { relay.service.allocationCount == 0 }
        }
    }

    @Test func `before authentication a message has the size of a request at most`() async throws {
        try await withStreams { relay, loop, _ in
            let client = try await StreamTURNClient(relay.service.listenAddresses[0], relay.credentials, on: loop)
            try await client.stream.send([0x40, 0x00, 0xFF, 0xFF])
            #expect(try await client.message() == nil)
            client.close()
        }
    }

    @Test func `connections without an allocation end after a time, others do not`() async throws {
        try await withStreams({ $0.unauthenticatedTimeoutMs = 150 }) { relay, loop, _ in
            let server = relay.service.listenAddresses[0]
            let silent = try await StreamTURNClient(server, relay.credentials, on: loop)
            let asking = try await StreamTURNClient(server, relay.credentials, on: loop)
            let user = try await StreamTURNClient(server, relay.credentials, on: loop)
            _ = try await user.allocate()
            // Binding requests are no way to stay.
            await #expect(throws: StreamTURNClient.Refused(code: nil)) {
                while true { _ = try await asking.ask(.binding) }
            }
            #expect(try await silent.message() == nil)
            try await user.request(.refresh)
            // Its allocation gone, the client has as long for another, whatever it says meanwhile.
            try await user.request(.refresh) { $0.append(.lifetime, number: 0) }
            await #expect(throws: StreamTURNClient.Refused(code: nil)) {
                while true { _ = try await user.ask(.binding) }
            }
            for client in [silent, asking, user] { client.close() }
        }
    }

    @Test func `a handshake that does not end is given up`() async throws {
        try await withStreams({ $0.handshakeTimeoutMs = 100 }) { relay, loop, _ in
            let client = try await StreamTURNClient(relay.service.tlsListenAddresses[0], relay.credentials, on: loop)
            try await client.stream.send([0x16, 0x03, 0x01])
            #expect(try await client.message() == nil)
            client.close()
        }
    }

    @Test func `strangers of one prefix have so many connections; who has authenticated does not count`() async throws {
        try await withStreams({ $0.maxUnauthenticatedConnectionsPerPrefix = 2 }) { relay, loop, _ in
            let server = relay.service.listenAddresses[0]
            let known = try await StreamTURNClient(server, relay.credentials, on: loop)
            _ = try await known.allocate()
            var strangers: [StreamTURNClient] = []
            for _ in 0..<2 {
                strangers.append(try await StreamTURNClient(server, relay.credentials, on: loop))
                try await strangers[strangers.count - 1].request(.binding)
            }
            let refused = try await StreamTURNClient(server, relay.credentials, on: loop)
            #expect(try await refused.message() == nil)
            strangers[0].close()
            try await self.eventually { relay.service.connectionCount == 2 }
            let next = try await StreamTURNClient(server, relay.credentials, on: loop)
            try await next.request(.binding)
            for client in [known, refused, next, strangers[1]] { client.close() }
        }
    }

    @Test func `a client that does not read loses what peers send, whole messages`() async throws {
        try await withStreams({ $0.connectionQueueBytes = 32 << 10 }) { relay, loop, _ in
            let client = try await StreamTURNClient(relay.service.listenAddresses[0], relay.credentials, on: loop)
            let peer = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
            let relayed = try await client.allocate()
            try await client.bindChannel(0x4001, to: peer.localAddress)
            let payload = [UInt8](repeating: 9, count: 1201)
            while relay.metrics.render().contains("skerry_relay_drops_total{reason=\"client_too_slow\"} 0\n") {
                for _ in 0..<64 { payload.withUnsafeBytes { _ = peer.send($0, to: relayed) } }
                try await loop.sleep(for: .milliseconds(1))
            }
            peer.close()
            // The answer waits behind what the queue holds.
            let refresh = loop.spawn { _ = try? await client.request(.refresh) }
            await refresh.value
            var count = 0
            while client.hasRelayed {
                let message = try #require(try await client.relayed())
                #expect(message.count == 1205 && message[4...].allSatisfy { $0 == 9 })
                count += 1
            }
            #expect(count > 20)
            client.close()
        }
    }

    @Test func `the name that a client asks for in TLS has a realm`() async throws {
        try await withStreams({
            var realm = RelayService.Configuration.Realm()
            realm.name = "by name"
            realm.sharedSecrets = [RunningRelay.secret]
            realm.serverNames = ["localhost"]
            $0.realms = [realm]
        }) { relay, loop, certificates in
            let named = try await StreamTURNClient(
                relay.service.tlsListenAddresses[0], relay.credentials, tls: certificates.client(), on: loop)
            _ = try await named.allocate()
            #expect(named.realm == "by name")
            let plain = try await StreamTURNClient(relay.service.listenAddresses[0], relay.credentials, on: loop)
            _ = try await plain.allocate()
            #expect(plain.realm == "skerry")
            named.close()
            plain.close()
            try await self.eventually { relay.service.connectionCount == 0 && relay.service.allocationCount == 0 }
        }
    }

    @Test func `a new certificate is shown to clients that come then`() async throws {
        try await withStreams { relay, loop, certificates in
            let server = relay.service.tlsListenAddresses[0]
            let old = try await StreamTURNClient(server, relay.credentials, tls: certificates.client(), on: loop)
            let others = try TestCertificates()
            try relay.service.replace(RelayCertificates([try others.issue()]))
            let new = try await StreamTURNClient(server, relay.credentials, tls: others.client(), on: loop)
            _ = try await old.allocate()
            _ = try await new.allocate()
            old.close()
            new.close()
        }
    }
}

/// An authority of a test, and what it signs.
struct TestCertificates {
    private let authority: CertificateAuthority

    init() throws {
        let (certificate, key) = CertificateAuthority.generate(name: "test", now: WallClock.now())
        authority = try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
    }

    func issue() throws -> TLSCertificate {
        let (request, key) = CertificateRequest.generate(commonName: "x")
        let certificate = try authority.sign(
            requestPEM: request, names: CertificateNames(uri: "skerry://x", dnsNames: ["localhost"]),
            now: WallClock.now(), validity: .seconds(3600))
        return TLSCertificate(certificatePEM: certificate, privateKeyPEM: key)
    }

    func client() throws -> TLSContext {
        try TLSContext.client(trustPEM: authority.certificatePEM, protocols: ["http/1.1", "stun.turn"])
    }

    var authorityPEM: String { authority.certificatePEM }
}
