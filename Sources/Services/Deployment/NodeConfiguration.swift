import Base
package import ConfigurationFile
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
    package var certificate = CertificateConfiguration()
    package var identity = IdentityConfiguration()
    package var uplink = UplinkClient.Configuration()

    package init() {}

    /// - Throws: `ConfigurationError`, with everything that is wrong in the file.
    package static func load(_ path: String) throws(ConfigurationError) -> NodeConfiguration {
        try ConfigurationFile.load(path, NodeConfiguration.init)
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
        certificate = section.section("certificate", CertificateConfiguration.init)
        identity = section.section("identity", IdentityConfiguration.init)
        section.section("uplink") { uplink.read($0) }
        if region == NodeIdentity.centralRegion { section.reject("region", "\(region) is the centrals' own") }
    }
}
