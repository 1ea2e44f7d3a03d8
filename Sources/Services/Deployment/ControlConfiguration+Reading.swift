import AdminService
import ConfigurationFile

extension ControlService.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.readPath("socket_path", &socketPath)
        section.read("max_connections", &maxConnections, in: 1...1_000)
    }
}
