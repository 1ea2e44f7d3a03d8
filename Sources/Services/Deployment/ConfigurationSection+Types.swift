import Base
import ConfigurationFile

/// Reading of types that several sections have.
extension ConfigurationSection {
    func read(_ key: String, _ value: inout SocketAddress) {
        read(key, &value, Self.addressAndPort) { SocketAddress($0) }
    }

    func read(_ key: String, _ value: inout [SocketAddress], maxCount: Int) {
        read(key, &value, Self.addressAndPort, maxCount: maxCount) { SocketAddress($0) }
    }

    func read(_ key: String, _ value: inout IPAddress?) {
        read(key, &value, "an IP address") { IPAddress($0) }
    }

    func read(_ key: String, _ value: inout [IPNetwork], maxCount: Int) {
        read(key, &value, "a network as in 10.0.0.0/8", maxCount: maxCount) { IPNetwork($0) }
    }

    /// A name of the form that stands in addresses and certificates.
    func readName(_ key: String, _ value: inout String, isRequired: Bool = false) {
        read(key, &value, Self.name, isRequired: isRequired) { isIdentityName($0) ? $0 : nil }
    }

    func readName(_ key: String, _ value: inout Tenant, _ parse: (String) -> Tenant?) {
        read(key, &value, Self.name, parse: parse)
    }

    private static let name = "1 to 64 of letters, digits, ., _ and -"
    private static let addressAndPort = "an IP address and a port, as in 127.0.0.1:8480 or \"[::1]:8480\""
}
