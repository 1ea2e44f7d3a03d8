package import AdminService
import Base
package import ConfigurationFile
package import ConnectionService
package import HTTP
package import MediaService
package import MediaWorkerService
package import RelayService
package import UplinkService

/// All that an edge-node is told by its file.
package struct NodeConfiguration: Equatable, Sendable {
    package var process = ProcessConfiguration()
    /// The names in the node's certificate.
    package var cluster = "skerry"
    package var region = ""
    package var name = ""
    package var listen = ListenConfiguration(address: SocketAddress(.anyV4, port: 8480))
    /// `host:port` where other edges reach `listen.address`.
    package var siblingAddress = ""
    package var http = HTTPServer.Configuration()
    package var admin = AdminService.Configuration()
    package var control = ControlService.Configuration()
    package var certificate = CertificateConfiguration()
    package var tls = TLSConfiguration()
    package var identity = IdentityConfiguration()
    package var uplink = UplinkClient.Configuration()
    package var media = MediaService.Configuration()
    package var connection = ConnectionService.Configuration()
    package var worker = MediaWorkerPool.Configuration()
    package var relay = RelayService.Configuration()
    package var relayCredentials = RelayCredentialsConfiguration()

    /// - Throws: `ConfigurationError`, with everything that is wrong in the file.
    package static func load(_ path: String) throws(ConfigurationError) -> NodeConfiguration {
        try ConfigurationFile.load(path, NodeConfiguration.init)
    }

    /// The relay's configuration with its credentials.
    ///
    /// - Throws: `EdgeError` that names the file which is wrong.
    package func loadRelay() throws -> RelayService.Configuration {
        var loaded = relay
        try relayCredentials.load(into: &loaded)
        return loaded
    }

    /// Every key that the file may have.
    package static var keys: [ConfigurationKey] { ConfigurationFile.keys(of: NodeConfiguration.init) }

    package init(_ section: ConfigurationSection) {
        section.readName("cluster", &cluster)
        section.readName("region", &region, isRequired: true)
        section.readName("name", &name, isRequired: true)
        process.read(section)
        section.section("listen") { section in
            listen.read(section)
            section.read("sibling_address", &siblingAddress, "host:port", isRequired: true, parse: hostAndPort)
        }
        section.section("http") { http.read($0) }
        section.section("admin") { admin.read($0) }
        section.section("control") { control.read($0) }
        certificate = section.section("certificate", CertificateConfiguration.init)
        section.section("tls") { tls.read($0) }
        identity = section.section("identity", IdentityConfiguration.init)
        section.section("uplink") { uplink.read($0) }
        section.section("media") { media.read($0) }
        section.section("connection") { connection.read($0) }
        section.section("worker") { worker.read($0) }
        section.section("relay") { section in
            relayCredentials.read(section)
            section.section("authorization_hook") { relay.authorizationHook.read($0, &relayCredentials) }
            relay.read(section)
        }
        if region == NodeIdentity.centralRegion { section.reject("region", "\(region) is the centrals' own") }
    }
}
