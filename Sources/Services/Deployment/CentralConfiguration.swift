package import AdminService
import Base
package import ConfigurationFile
package import HTTP
package import RouterService
package import UplinkService

/// All that an edge-central is told by its file.
package struct CentralConfiguration: Equatable, Sendable {
    package var process = ProcessConfiguration()
    /// The names in the central's certificate; its region is `central`.
    package var cluster = "skerry"
    package var name = ""
    package var listen = ListenConfiguration(address: SocketAddress(.anyV4, port: 8470))
    package var http = HTTPServer.Configuration()
    package var admin = AdminService.Configuration()
    package var certificate = CertificateConfiguration()
    package var identity = IdentityConfiguration()
    package var signedPaths: [SignedPathConfiguration] = []
    package var uplink = UplinkServer.Configuration()
    package var enrolment = EnrolmentConfiguration()
    package var router = RouterService.Configuration()

    /// - Throws: `ConfigurationError`, with everything that is wrong in the file.
    package static func load(_ path: String) throws(ConfigurationError) -> CentralConfiguration {
        try ConfigurationFile.load(path, CentralConfiguration.init)
    }

    /// Every key that the file may have.
    package static var keys: [ConfigurationKey] { ConfigurationFile.keys(of: CentralConfiguration.init) }

    package init(_ section: ConfigurationSection) {
        admin.address.port = 9470
        section.readName("cluster", &cluster)
        section.readName("name", &name, isRequired: true)
        process.read(section)
        section.section("listen") { listen.read($0) }
        section.section("http") { http.read($0) }
        section.section("admin") { admin.read($0) }
        certificate = section.section("certificate", CertificateConfiguration.init)
        identity = section.section("identity", IdentityConfiguration.init)
        signedPaths = section.list("signed_paths", maxCount: 64, SignedPathConfiguration.init)
        if Set(signedPaths.map(\.kid)).count != signedPaths.count {
            section.reject("signed_paths", "names two keys alike (kid)")
        }
        section.section("uplink") { uplink.read($0) }
        enrolment = section.section("enrolment", EnrolmentConfiguration.init)
        section.section("router") { router.read($0) }
    }
}
