import Base
import Crypto
import HTTP
import HTTPCodec
import Runtime
import Testing

@testable import UplinkService

@Suite(.timeLimit(.minutes(1))) struct EnrolmentTests {
    private let loop: EventLoop
    private let cluster: Cluster
    private let store: EnrolmentStore
    private let path: String
    private let listener: EdgeListener
    private let address: String

    init() throws {
        loop = try EventLoopGroup(count: 1, name: "test").loops[0]
        cluster = try Cluster()
        path = "/tmp/skerry-enrolment-\(UUID.v7(at: WallClock.now())).sqlite"
        store = try EnrolmentStore(path: path)
        var configuration = EnrolmentAuthority.Configuration()
        configuration.maxAttemptsPerMinute = 5
        let authority = EnrolmentAuthority(
            configuration: configuration, cluster: cluster.name, authority: cluster.authority, store: store,
            logger: silent,
            now: { WallClock.now() })
        var routes = HTTPRoutes()
        authority.register(in: &routes)
        let server = HTTPServer(routes: routes, logger: silent, metrics: MetricsRegistry())
        listener = EdgeListener(
            on: SocketAddress(.loopbackV4, port: 0), loops: [loop], tls: try cluster.serverContext(), allowsPlain: true,
            server: server, logger: silent, metrics: MetricsRegistry())
        address = try listener.listen().description
    }

    private func token(
        region: String = "eu", name: String = "edge-7", life: Duration = .seconds(60)
    ) async throws -> EnrolmentToken {
        let identity = try #require(NodeIdentity(cluster: cluster.name, region: region, name: name))
        return try await store.makeToken(
            for: identity, authorityPEM: cluster.authorityPEM, life: life, now: WallClock.now())
    }

    @Test func aTokenBuysTheCertificateOfItsNodeOnce() async throws {
        let token = try await token()
        #expect(EnrolmentToken(token.text) == token)
        let node = try await Enrolment.enrol(central: address, token: token.text, on: loop)
        #expect(node.identity.uri == "skerry://test/eu/edge-7")
        // It opens the uplink.
        let central = try TestCentral(cluster, handler: RecordingHandler(), loop: loop)
        defer { central.stop() }
        let tls = try UplinkClient.tlsContext(
            cluster: "test", authorityPEM: node.authorityPEM, certificatePEM: node.certificatePEM,
            privateKeyPEM: node.privateKeyPEM)
        let client = makeClient(central.address, tls, loop: loop, node: "edge-7")
        try await running(client) { try await until { client.isConnected } }

        await #expect {
            _ = try await Enrolment.enrol(central: address, token: token.text, on: loop)
        } throws: { error in
            (error as? EdgeError)?.kind == .unauthenticated
        }
    }

    @Test func otherTokensBuyNothing() async throws {
        let good = try await token()
        let expired = try await token(life: .milliseconds(-1))
        let forged = EnrolmentToken(
            cluster: good.cluster, authorityFingerprint: good.authorityFingerprint, secret: randomBytes(32))
        for token in [expired, forged] {
            await #expect {
                _ = try await Enrolment.enrol(central: address, token: token.text, on: loop)
            } throws: { error in
                (error as? EdgeError)?.kind == .unauthenticated
            }
        }
        let elsewhere = EnrolmentToken(
            cluster: good.cluster, authorityFingerprint: randomBytes(32), secret: good.secret)
        await #expect {
            _ = try await Enrolment.enrol(central: address, token: elsewhere.text, on: loop)
        } throws: { error in
            (error as? EdgeError)?.kind == .forbidden
        }
        await #expect(throws: EdgeError.self) { _ = try await self.token(region: "central") }
        for text in ["", "skerry-enroll:1", "skerry-enroll:2:c:a:b", "skerry-enroll:1:c d:AA:AA"] {
            #expect(EnrolmentToken(text) == nil)
        }
    }

    @Test func aBadRequestLeavesTheTokenAndAttemptsAreCounted() async throws {
        let token = try await token()
        let tls = try TLSContext.client(
            trustPEM: cluster.authorityPEM, protocols: ["http/1.1"], expectedURIPrefix: "skerry://test/central/")
        let client = HTTPClient(loop: loop, tls: tls)
        func post(_ scheme: String, _ body: String) async throws -> Int {
            try await client.send(
                HTTPClientRequest("POST", "\(scheme)://\(address)/enroll", body: .bytes(Array(body.utf8)))
            ).status
        }
        #expect(try await post("http", "{}") == 403)
        #expect(try await post("https", "{}") == 400)
        #expect(try await post("https", #"{"token":"\#(token.text)","csr":"no"}"#) == 400)
        _ = try await Enrolment.enrol(central: address, token: token.text, on: loop)
        for _ in 0..<3 { _ = try await post("https", #"{"token":"x","csr":"y"}"#) }
        #expect(try await post("https", #"{"token":"x","csr":"y"}"#) == 429)
        await client.close()
    }
}
