import Glibc

/// The ports of a development start: the well-known ones, moved by an offset, and by 20 for every further edge.
struct DevelopmentPorts: Equatable, Sendable {
    static let maxOffset = 900
    static let maxEdges = 5

    struct Edge: Equatable, Sendable {
        let http: UInt16
        let turn: UInt16
        let turns: UInt16
        let admin: UInt16
    }

    let central: UInt16
    let centralAdmin: UInt16
    let edges: [Edge]

    init(edges count: Int, offset: Int) {
        precondition((1...Self.maxEdges).contains(count) && (0...Self.maxOffset).contains(offset))
        func port(_ base: Int, _ edge: Int = 0) -> UInt16 { UInt16(base + offset + 20 * edge) }
        central = port(8470)
        centralAdmin = port(9470)
        edges = (0..<count).map {
            Edge(http: port(8480, $0), turn: port(3478, $0), turns: port(5349, $0), admin: port(9480, $0))
        }
    }

    /// Every port on which a process listens.
    var all: [UInt16] { [central, centralAdmin] + edges.flatMap { [$0.http, $0.turn, $0.turns, $0.admin] } }

    /// The first port that another process has.
    func firstInUse() -> (port: UInt16, purpose: String)? {
        var wanted: [(port: UInt16, purpose: String, type: __socket_type)] = [
            (central, "edge-central", SOCK_STREAM), (centralAdmin, "edge-central's admin", SOCK_STREAM),
        ]
        for (index, edge) in edges.enumerated() {
            wanted += [
                (edge.http, "edge-\(index)'s HTTP", SOCK_STREAM), (edge.admin, "edge-\(index)'s admin", SOCK_STREAM),
                (edge.turn, "edge-\(index)'s TURN over UDP", SOCK_DGRAM),
            ]
        }
        return wanted.first { !Self.isFree($0.port, $0.type) }.map { ($0.port, $0.purpose) }
    }

    /// Whether the port can be bound on every address.
    private static func isFree(_ port: UInt16, _ type: __socket_type) -> Bool {
        let descriptor = socket(AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        if type == SOCK_STREAM {
            // Connections of an earlier run that linger in TIME_WAIT are no reason to refuse.
            var on: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return bound == 0 || errno != EADDRINUSE
    }
}
