import Base
import Crypto
import Runtime
import Synchronization
import Testing
import Wire

@testable import UplinkService

/// A cluster's authority, and nodes that it has certified.
struct Cluster {
    let name: String
    let authorityPEM: String
    let authority: CertificateAuthority

    init(_ name: String = "test") throws {
        self.name = name
        let made = CertificateAuthority.generate(name: name, now: WallClock.now())
        authorityPEM = made.certificatePEM
        authority = try CertificateAuthority(certificatePEM: made.certificatePEM, privateKeyPEM: made.privateKeyPEM)
    }

    func certify(_ uri: String) throws -> (certificatePEM: String, privateKeyPEM: String) {
        let request = CertificateRequest.generate(commonName: "node")
        let certificate = try authority.sign(
            requestPEM: request.requestPEM, names: CertificateNames(uri: uri), now: WallClock.now(),
            validity: .seconds(3600))
        return (certificate, request.privateKeyPEM)
    }

    func serverContext() throws -> TLSContext {
        let own = try certify("skerry://\(name)/central/c0")
        return try TLSContext.server(
            certificatePEM: own.certificatePEM, privateKeyPEM: own.privateKeyPEM, clientAuthorityPEM: authorityPEM,
            protocols: [UplinkProtocol.applicationProtocol],
            requireClientCertificateFor: [UplinkProtocol.applicationProtocol])
    }

    func clientContext(region: String = "eu", node: String, of cluster: String? = nil) throws -> TLSContext {
        let own = try certify("skerry://\(cluster ?? name)/\(region)/\(node)")
        return try UplinkClient.tlsContext(
            cluster: name, authorityPEM: authorityPEM, certificatePEM: own.certificatePEM,
            privateKeyPEM: own.privateKeyPEM)
    }
}

/// A central on a loopback port.
final class TestCentral: Sendable {
    let server: UplinkServer
    let address: SocketAddress
    private let listener: TCPListener

    init(
        _ cluster: Cluster, handler: any UplinkHandler, loop: EventLoop, port: UInt16 = 0,
        configuration: UplinkServer.Configuration = .init(), acceptedVersions: [UInt32] = [1]
    ) throws {
        let server = UplinkServer(
            configuration: configuration, cluster: cluster.name, handler: handler, logger: silent,
            metrics: MetricsRegistry(), acceptedVersions: acceptedVersions)
        let tls = try cluster.serverContext()
        self.server = server
        listener = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: port), loops: [loop]) { stream in
            stream.loop.spawn {
                do {
                    try await stream.startTLS(tls)
                } catch {
                    stream.close()
                    return
                }
                await server.serve(stream)
            }
        }
        address = listener.localAddress
    }

    func stop() {
        listener.close()
        server.closeAll()
    }
}

let silent = Logger(label: "test", sink: SilentLogSink())
let pool = BlockingPool(threads: 1, name: "test", queueLimit: 16)

func makeClient(
    _ address: SocketAddress, _ tls: TLSContext, loop: EventLoop, node: String = "edge-1", region: String = "eu",
    versions: [UInt32] = [1], sink: any LogSink = SilentLogSink(),
    change: (inout UplinkClient.Configuration) -> Void = { _ in }
) -> UplinkClient {
    var configuration = UplinkClient.Configuration()
    configuration.centralAddress = address.description
    configuration.minBackoffMs = 10
    configuration.maxBackoffMs = 50
    change(&configuration)
    let hello = UplinkHello(
        versions: versions, node: node, region: region, siblingAddress: "\(node):8480", build: "test")
    return UplinkClient(
        configuration: configuration, hello: hello, tls: tls, loop: loop, resolver: HostResolver(pool: pool),
        logger: Logger(label: "test", sink: sink), metrics: MetricsRegistry())
}

/// Runs a client for the length of the body.
func running(_ client: UplinkClient, _ body: () async throws -> Void) async throws {
    let shutdown = Shutdown()
    let running = Task { try await client.run(until: shutdown) }
    do {
        try await body()
    } catch {
        shutdown.request()
        try await running.value
        throw error
    }
    shutdown.request()
    try await running.value
}

/// Waits until a condition holds; a test's time limit ends it otherwise.
func until(_ condition: () -> Bool) async throws {
    while !condition() { try await Task.sleep(for: .milliseconds(2)) }
}

/// Answers like a central that knows nobody, and remembers what came.
final class RecordingHandler: UplinkHandler {
    struct Seen {
        var up: [UplinkLink] = []
        var down: [UplinkLink] = []
        var notices: [EdgeNotice] = []
    }

    let seen = Mutex(Seen())
    private let answer: @Sendable (UplinkRequest) async -> UplinkResponse
    private let onNotice: @Sendable (EdgeNotice, UplinkLink) async -> Void

    init(
        onNotice: @escaping @Sendable (EdgeNotice, UplinkLink) async -> Void = { _, _ in },
        answer: @escaping @Sendable (UplinkRequest) async -> UplinkResponse = { _ in .ok }
    ) {
        self.answer = answer
        self.onNotice = onNotice
    }

    func linkIsUp(_ link: UplinkLink) { seen.withLock { $0.up.append(link) } }
    func linkIsDown(_ link: UplinkLink) { seen.withLock { $0.down.append(link) } }
    func handle(_ request: UplinkRequest, from link: UplinkLink) async -> UplinkResponse { await answer(request) }
    func handle(_ notice: EdgeNotice, from link: UplinkLink) async {
        await onNotice(notice, link)
        seen.withLock { $0.notices.append(notice) }
    }
}

/// Collects what was logged.
final class CollectingSink: LogSink {
    private let records = Mutex<[LogRecord]>([])
    func write(_ record: LogRecord) { records.withLock { $0.append(record) } }
    func contains(_ text: String) -> Bool {
        records.withLock {
            $0.contains { $0.metadata.contains { $0.value.contains(text) } || $0.message.contains(text) }
        }
    }
}
