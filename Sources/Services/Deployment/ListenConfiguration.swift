package import Base
import ConfigurationFile
package import HTTP

/// The port for everybody: HTTP and WebSocket for clients, and, under TLS, links between nodes.
package struct ListenConfiguration: Equatable, Sendable {
    package var address: SocketAddress
    /// Whether HTTP is served without TLS too: in development, or behind a proxy that speaks TLS.
    package var allowsPlainHTTP = false
    package var limits = EdgeListener.Configuration()

    package init(address: SocketAddress) { self.address = address }

    mutating func read(_ section: ConfigurationSection) {
        section.read("address", &address)
        section.read("allow_plain_http", &allowsPlainHTTP)
        limits.read(section)
    }
}
