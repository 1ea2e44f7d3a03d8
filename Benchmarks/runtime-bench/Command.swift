import BenchmarkSupport

/// What the command line asks for.
enum Command {
    case help
    case measure(Plan)
    case serve(directory: String)
    case serveUDP(UDPBenchServer.Role)
    case serveUDPInC(UDPBenchServer.Role)
    case hold(port: UInt16, HeldConnections.Kind, count: Int)

    /// What is measured, and for how long.
    struct Plan {
        var rounds = 5
        var secondsPerScenario = 2
        /// Nil for both sides.
        var isOursAlone: Bool?
        var scenarios = Scenario.all
        var includesSlowClients = true
        var heldConnections = HeldConnections.Kind.allCases
        var connections = 50_000

        func wants(_ contender: Contender) -> Bool { isOursAlone.map { $0 == contender.isOurs } ?? true }

        /// Leaves only what fits one of the names.
        mutating func restrict(to names: [Substring]) {
            func isWanted(_ name: String) -> Bool {
                names.contains { $0.hasSuffix("-") ? name.hasPrefix($0) : name == $0 }
            }
            scenarios.removeAll { !isWanted($0.name) }
            includesSlowClients = isWanted(Self.slowClients)
            heldConnections.removeAll { !isWanted(Self.name(of: $0)) }
        }

        static let slowClients = "slow-clients"
        static func name(of kind: HeldConnections.Kind) -> String { "memory-\(kind.rawValue)" }

        var isEmpty: Bool { scenarios.isEmpty && !includesSlowClients && heldConnections.isEmpty }
    }

    static let usage = """
        Puts the same load on Skerry's runtime and on programs of others in turns, and prints what it costs each, as
        Markdown.

        usage: runtime-bench [--rounds N] [--seconds S] [--connections N] [--server ours|peer] [--only NAME[,NAME...]]
               runtime-bench --serve DIRECTORY | --serve-udp echo|relay | --serve-udp-c echo|relay

          --rounds N       rounds, each with new servers and every scenario (default 5)
          --seconds S      duration of a scenario (default 2)
          --connections N  how many idle connections memory is counted over (default 50000)
          --server WHICH   only ours, or only the peers
          --only NAMES     only these; a name that ends in - stands for all that begin with it
          --serve DIR      be the server, with one event loop, until SIGTERM, and print the port, which takes plain
                           connections and TLS: /16k from memory, /1m and /50m by sendfile from DIR/www, WebSockets at
                           /echo; certificate and key in DIR/certificate.pem and DIR/key.pem
          --serve-udp R    be a UDP server on one event loop, and print its ports; --serve-udp-c: the one in C
          --help           this text

        A quick look at one scenario: runtime-bench --only http-16k --rounds 1

        \(names.map { "  \($0.name.padded(to: 19))\($0.title)" }.joined(separator: "\n"))
        """

    private static var names: [(name: String, title: String)] {
        Scenario.all.map { ($0.name, "\($0.title) (\($0.peer.name))") }
            + [(Plan.slowClients, "the others' waiting times beside 10,000 slow clients (nginx)")]
            + HeldConnections.Kind.allCases.map { (Plan.name(of: $0), "idle: \($0.title)") }
    }

    init(_ arguments: [String]) throws {
        var plan = Plan()
        var words = ArgumentReader(arguments)
        while let option = words.next() {
            switch option {
            case "--help", "-h":
                self = .help
                return
            case "--serve":
                self = .serve(directory: try words.value())
                return
            case "--serve-udp":
                self = .serveUDP(try Self.role(try words.value()))
                return
            case "--serve-udp-c":
                self = .serveUDPInC(try Self.role(try words.value()))
                return
            case "--hold":
                let (port, kind, count) = (
                    UInt16(try words.value()), HeldConnections.Kind(rawValue: try words.value()), Int(try words.value())
                )
                guard let port, let kind, let count else { throw BadUsage("--hold takes a port, a kind and a number") }
                self = .hold(port: port, kind, count: count)
                return
            case "--rounds":
                plan.rounds = try words.number(in: 1...1000)
            case "--seconds":
                plan.secondsPerScenario = try words.number(in: 1...600)
            case "--connections":
                plan.connections = try words.number(in: 100...1_000_000)
            case "--server":
                let which = try words.value()
                guard which == "ours" || which == "peer" else { throw BadUsage("--server takes ours or peer") }
                plan.isOursAlone = which == "ours"
            case "--only":
                plan.restrict(to: try words.value().split(separator: ","))
                guard !plan.isEmpty else { throw BadUsage("--only names nothing that there is; see --help") }
            default:
                throw BadUsage("unknown argument \(option); see --help")
            }
        }
        self = .measure(plan)
    }

    private static func role(_ name: String) throws -> UDPBenchServer.Role {
        guard let role = UDPBenchServer.Role(rawValue: name) else { throw BadUsage("a UDP server is echo or relay") }
        return role
    }
}
