import AdminService
import Base
import Crypto
import Deployment
import HTTP
import RouterService
import Runtime
import UplinkService

/// The services of a central, joined: one port for uplinks and the HTTP API, the router behind it, and the admin address.
struct EdgeCentral: Assembly {
    let services: [any Service]
    private let enrolments: EnrolmentStore?
    private let uplinks: UplinkServer

    init(_ configuration: CentralConfiguration, _ context: ProcessContext) async throws {
        let logger = context.logger
        let metrics = context.metrics
        let certificates = try Certificates.load(configuration.certificate)

        let router = try RouterService(
            configuration: configuration.router, loop: context.mainLoop,
            verifier: try configuration.identity.loadVerifier(),
            signedPathKeys: try configuration.signedPaths.map { try $0.load() },
            logger: logger.child("router"), metrics: metrics)
        let uplinks = UplinkServer(
            configuration: configuration.uplink, cluster: configuration.cluster, handler: router,
            logger: logger.child("uplink"), metrics: metrics)
        self.uplinks = uplinks

        var routes = HTTPRoutes()
        if let keyFile = configuration.enrolment.authorityKeyFile, let path = configuration.enrolment.databasePath {
            let store = try EnrolmentStore(path: path)
            enrolments = store
            EnrolmentAuthority(
                configuration: configuration.enrolment.authority, cluster: configuration.cluster,
                authority: try CertificateAuthority(
                    certificatePEM: certificates.authorityPEM, privateKeyPEM: try SecretFile.readText(keyFile)),
                store: store, logger: logger.child("enrolment"), now: WallClock.now
            ).register(in: &routes)
        } else {
            enrolments = nil
        }

        let tls = try TLSContext.server(
            certificatePEM: certificates.own.certificatePEM, privateKeyPEM: certificates.own.privateKeyPEM,
            clientAuthorityPEM: certificates.authorityPEM, protocols: [UplinkProtocol.applicationProtocol, "http/1.1"],
            requireClientCertificateFor: [UplinkProtocol.applicationProtocol])
        let reloader = CertificateReloader(
            configuration.certificate, loaded: certificates, loop: context.mainLoop,
            logger: logger.child("certificates"), metrics: metrics
        ) { try tls.replace(certificate: $0.own, authorityPEM: $0.authorityPEM) }
        let listener = EdgeListener(
            on: configuration.listen.address, loops: context.loops.loops, tls: tls,
            allowsPlain: configuration.listen.allowsPlainHTTP,
            server: HTTPServer(
                configuration: configuration.http, routes: routes, logger: logger.child("http"), metrics: metrics,
                name: "public"),
            protocols: [UplinkProtocol.applicationProtocol: { await uplinks.serve($0) }],
            configuration: configuration.listen.limits, logger: logger, metrics: metrics)
        try listener.listen()

        let admin = AdminService(
            configuration: configuration.admin, loop: context.mainLoop, metrics: metrics, checks: [],
            logger: logger.child("admin"))
        try admin.start()
        services = [listener, router, reloader, admin]
    }

    func close() {
        uplinks.closeAll()
        enrolments?.close()
    }
}
