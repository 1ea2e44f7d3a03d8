import Base
import Crypto
import HTTP
import HTTPCodec
import MediaWorkerService
import Runtime
import Synchronization
import Testing
import Tokens
import Wire

@testable import MediaService

/// A cluster of edges with everything but the central and the workers: real listeners, mutual TLS between siblings.
final class HTTPCluster: Sendable {
    let directory = MemoryDirectory()
    let folder = TestFolder()
    let authorityPEM: String
    private let authority: CertificateAuthority
    private let verifier: TokenVerifier
    let loops: EventLoopGroup
    let alice: String
    let bob: String
    let mallory: String

    init() throws {
        let now = WallClock.now()
        let made = CertificateAuthority.generate(name: "test", now: now)
        authorityPEM = made.certificatePEM
        authority = try CertificateAuthority(certificatePEM: made.certificatePEM, privateKeyPEM: made.privateKeyPEM)
        let key = SigningKey.generateEd25519()
        let mint = TokenMint(keyID: "k", key: key, issuer: nil)
        verifier = TokenVerifier(keys: [TokenKey(id: "k", key: key.verificationKey)], issuer: nil)
        loops = try EventLoopGroup(count: 2)
        directory.set { $0.time = now }
        func token(_ user: String, _ scopes: [String]) -> String {
            guard let owner = UserAddress(tenant: .default, user: user),
                let device = DeviceAddress(owner: owner, device: "phone")
            else { preconditionFailure() }
            return mint.mint(for: device, scopes: scopes, now: now, life: .seconds(3600))
        }
        alice = token("alice", ["media:read", "media:write"])
        bob = token("bob", ["media:read", "media:write"])
        mallory = token("mallory", ["calls"])
        directory.set { [alice, bob] in
            $0.users = [alice: "alice", bob: "bob"]
        }
    }

    func node(_ name: String, maker: any ThumbnailMaker = NoThumbnails()) throws -> HTTPNode {
        let request = CertificateRequest.generate(commonName: name)
        let certificate = try authority.sign(
            requestPEM: request.requestPEM,
            names: CertificateNames(uri: "skerry://c/r/\(name)", ipAddresses: [.loopbackV4]), now: WallClock.now(),
            validity: .seconds(3600))
        return try HTTPNode(
            name, cluster: self, verifier: verifier, maker: maker, certificatePEM: certificate,
            privateKeyPEM: request.privateKeyPEM)
    }
}

final class HTTPNode: Sendable {
    let service: MediaService
    let address: SocketAddress
    let client: HTTPClient
    private let task: Task<Void, any Error>
    private let shutdown = Shutdown()

    init(
        _ name: String, cluster: HTTPCluster, verifier: TokenVerifier, maker: any ThumbnailMaker,
        certificatePEM: String,
        privateKeyPEM: String
    ) throws {
        var configuration = MediaService.Configuration()
        configuration.dataDirectory = "\(cluster.folder.path)/\(name)"
        configuration.minFreeDiskBytes = 0
        configuration.outboxRetryMs = 50
        let logger = Logger(label: "test", sink: SilentLogSink())
        let metrics = MetricsRegistry()
        let sibling = HTTPSiblingTransport.applicationProtocol
        let transport = HTTPSiblingTransport(
            loops: cluster.loops.loops,
            tls: try TLSContext.client(
                trustPEM: cluster.authorityPEM, certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM,
                protocols: [sibling], expectedURIPrefix: "skerry://c/"))
        let service = try MediaService(
            configuration: configuration, node: name, directory: cluster.directory.view(of: name), siblings: transport,
            thumbnails: maker, tokens: verifier, loop: cluster.loops.loops[0], logger: logger, metrics: metrics)
        self.service = service
        var routes = HTTPRoutes()
        service.addRoutes(to: &routes)
        let siblingServer = HTTPServer(
            routes: service.siblingRoutes(cluster: "c"), logger: logger, metrics: metrics, name: "sibling")
        let tls = try TLSContext.server(
            certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM, clientAuthorityPEM: cluster.authorityPEM,
            protocols: [sibling], requireClientCertificateFor: [sibling])
        let listener = EdgeListener(
            on: SocketAddress(.loopbackV4, port: 0), loops: cluster.loops.loops, tls: tls, allowsPlain: true,
            server: HTTPServer(routes: routes, logger: logger, metrics: metrics),
            protocols: [sibling: { await siblingServer.serve($0) }], logger: logger, metrics: metrics)
        address = try listener.listen()
        client = HTTPClient(loop: cluster.loops.loops[1])
        cluster.directory.set { [address] in $0.addresses[name] = "\(address)" }
        task = Task { [shutdown] in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await service.run(until: shutdown) }
                group.addTask { try await listener.run(until: shutdown) }
                try await group.waitForAll()
            }
        }
    }

    func stop() async {
        await client.close()
        shutdown.request()
        _ = await task.result
        service.close()
    }

    func send(
        _ method: String, _ path: String, token: String? = nil, fields: HTTPFields = [:], body: [UInt8]? = nil
    ) async throws -> (status: Int, fields: HTTPFields, body: [UInt8]) {
        var fields = fields
        if let token { fields["Authorization"] = "Bearer \(token)" }
        let response = try await client.send(
            HTTPClientRequest(
                method, "http://\(address)\(path)", fields: fields, body: body.map { .bytes($0) } ?? .none))
        return (response.status, response.fields, try await response.collect(upTo: 64 << 20))
    }
}

struct NoThumbnails: ThumbnailMaker {
    func webP(width: Int, of input: WorkerInput) async throws -> [UInt8] { throw MediaWorkerError.notStarted(errno: 2) }
}
