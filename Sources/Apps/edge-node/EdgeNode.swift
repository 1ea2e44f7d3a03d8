import AdminService
import Base
import ConnectionService
import Deployment
import HTTP
import MediaService
import MediaWorkerService
import RelayService
import Runtime
import UplinkService
import Wire

/// The services of an edge, joined: one port for clients and siblings, the relay, the uplink, the admin address
/// and the control socket.
struct EdgeNode: Assembly {
    let services: [any Service]
    private let media: MediaService
    private let resolverPool: BlockingPool
    private let control: ControlService

    init(_ configuration: NodeConfiguration, _ context: ProcessContext) async throws {
        let logger = context.logger
        let metrics = context.metrics
        let loops = context.loops.loops
        let certificates = try Certificates.load(configuration.certificate, configuration.tls.certificates)
        let verifier = try configuration.identity.loadVerifier()

        let relay = try RelayService(
            configuration: try configuration.loadRelay(), certificates: RelayCertificates(certificates.forClients),
            loops: loops,
            ownPorts: [configuration.listen.address.port, configuration.admin.address.port],
            logger: logger.child("relay"), metrics: metrics)

        resolverPool = BlockingPool(threads: 1, name: "resolver", queueLimit: 64)
        let uplinkTLS = try UplinkClient.tlsContext(
            cluster: configuration.cluster, authorityPEM: certificates.authorityPEM,
            certificatePEM: certificates.own.certificatePEM, privateKeyPEM: certificates.own.privateKeyPEM)
        let uplink = UplinkClient(
            configuration: configuration.uplink,
            hello: UplinkHello(
                versions: UplinkProtocol.acceptedVersions, node: configuration.name, region: configuration.region,
                siblingAddress: configuration.siblingAddress, turnURLs: relay.urls, build: Self.build),
            tls: uplinkTLS,
            loop: context.mainLoop, resolver: HostResolver(pool: resolverPool), logger: logger.child("uplink"),
            metrics: metrics)

        let workers = MediaWorkerPool(
            configuration: configuration.worker, loops: context.loops, logger: logger.child("media-worker"),
            metrics: metrics)
        let siblingTLS = try TLSContext.client(
            trustPEM: certificates.authorityPEM, certificatePEM: certificates.own.certificatePEM,
            privateKeyPEM: certificates.own.privateKeyPEM, protocols: [HTTPSiblingTransport.applicationProtocol],
            expectedURIPrefix: NodeIdentity.uriPrefix(cluster: configuration.cluster))
        let media = try MediaService(
            configuration: configuration.media, node: configuration.name,
            directory: UplinkDirectory(
                uplink, registerTimeout: .milliseconds(configuration.media.registerTimeoutMs),
                maxClockUncertainty: .milliseconds(configuration.media.maxClockUncertaintyMs)),
            siblings: HTTPSiblingTransport(loops: loops, tls: siblingTLS), thumbnails: workers, tokens: verifier,
            loop: context.mainLoop, logger: logger.child("media"), metrics: metrics)
        self.media = media

        let connections = ConnectionService(
            configuration: configuration.connection, uplink: uplink, verifier: verifier,
            iceServers: { user in
                let credentials = relay.iceServers(for: user, now: WallClock.now())
                return ConnectionService.ICEServers(
                    urls: credentials.urls, username: credentials.username, credential: credentials.credential,
                    lifeSeconds: Int(credentials.ttlSeconds))
            },
            logger: logger.child("connections"), metrics: metrics)
        uplink.observe { event in
            switch event {
            case .notice(.mediaPurge(let objects)): context.mainLoop.spawn { await media.purge(objects) }
            case .connected: media.centralIsBack()
            default: break
            }
        }

        var routes = HTTPRoutes()
        media.addRoutes(to: &routes)
        connections.register(in: &routes)
        let siblings = HTTPServer(
            configuration: configuration.http, routes: media.siblingRoutes(cluster: configuration.cluster),
            logger: logger.child("siblings"), metrics: metrics, name: "siblings")
        let tls = try TLSContext.server(
            certificatePEM: certificates.own.certificatePEM, privateKeyPEM: certificates.own.privateKeyPEM,
            clientAuthorityPEM: certificates.authorityPEM, namedCertificates: certificates.named,
            protocols: ["h2", "http/1.1", HTTPSiblingTransport.applicationProtocol],
            requireClientCertificateFor: [HTTPSiblingTransport.applicationProtocol],
            ticketKeys: TLSTicketKeys(rotation: .milliseconds(configuration.tls.ticketKeyRotationMs)))
        let reloader = CertificateReloader(
            configuration.certificate, configuration.tls.certificates, loaded: certificates, loop: context.mainLoop,
            logger: logger.child("certificates"), metrics: metrics
        ) { fresh in
            try tls.replace(
                certificate: fresh.own, authorityPEM: fresh.authorityPEM, namedCertificates: fresh.named)
            try relay.replace(RelayCertificates(fresh.forClients))
            try siblingTLS.replace(certificate: fresh.own, authorityPEM: fresh.authorityPEM)
            try uplinkTLS.replace(certificate: fresh.own, authorityPEM: fresh.authorityPEM)
        }
        let listener = EdgeListener(
            on: configuration.listen.address, loops: loops, tls: tls, allowsPlain: configuration.listen.allowsPlainHTTP,
            server: HTTPServer(
                configuration: configuration.http, routes: routes, logger: logger.child("http"), metrics: metrics,
                name: "public"),
            protocols: [HTTPSiblingTransport.applicationProtocol: { await siblings.serve($0) }],
            configuration: configuration.listen.limits, logger: logger, metrics: metrics)
        try listener.listen()

        let admin = AdminService(
            configuration: configuration.admin, loop: context.mainLoop, metrics: metrics,
            checks: [
                ReadinessCheck("uplink") { uplink.isConnected ? nil : "the central cannot be reached" },
                ReadinessCheck("drain") { relay.isDraining ? "an operator drains this node" : nil },
            ],
            logger: logger.child("admin"))
        try admin.start()
        var controlRoutes = HTTPRoutes()
        relay.addControlRoutes(to: &controlRoutes)
        let control = ControlService(
            configuration: configuration.control, routes: controlRoutes, loop: context.mainLoop,
            logger: logger.child("control"), metrics: metrics)
        try control.start()
        self.control = control
        services = [listener, connections, media, workers, relay, uplink, reloader, admin, control]
    }

    func close() {
        control.close()
        media.close()
        resolverPool.shutdown()
    }

    private static let build = "0.1.0"
}
