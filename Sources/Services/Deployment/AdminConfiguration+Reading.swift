import AdminService
import ConfigurationFile

extension AdminService.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("address", &address)
        section.read("max_connections", &maxConnections, in: 1...100_000)
    }
}
