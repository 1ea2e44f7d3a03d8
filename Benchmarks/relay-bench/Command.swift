import BenchmarkSupport

/// What the command line asks for.
enum Command {
    case help
    case serve
    case serveInC
    case measure(Plan)

    /// What is measured, and for how long.
    struct Plan {
        var rounds = 5
        var secondsPerScenario = 1.0
        var contenders: [Contender] = [.ours, .coturn, .minimal]
        var scenarios = Scenario.all
        var includesAllocations = true

        static let allocations = "allocate"

        /// Leaves only what fits one of the names.
        mutating func restrict(to names: [Substring]) {
            func isWanted(_ name: String) -> Bool {
                names.contains {
                    $0.hasSuffix("-") ? name.hasPrefix($0) : $0.hasPrefix("-") ? name.hasSuffix($0) : name == $0
                }
            }
            scenarios.removeAll { !isWanted($0.name) }
            includesAllocations = isWanted(Self.allocations)
        }

        var isEmpty: Bool { scenarios.isEmpty && !includesAllocations }
    }

    static let usage = """
        Relays the same packets through Skerry's relay, coturn and a minimal relay in C in turns, and prints what they cost
        each, as Markdown.

        usage: relay-bench [--quick] [--rounds N] [--seconds S] [--server NAME[,NAME...]] [--other PATH] [--only NAME[,NAME...]]
               relay-bench --serve | --serve-c

          --quick         the most telling scenarios only, three rounds of half a second
          --rounds N      rounds, each with every server and scenario (default 5)
          --seconds S     duration of a scenario (default 1; the paced ones take twice as long)
          --server NAMES  only these servers: ours, coturn, c
          --other PATH    besides, this build of relay-bench as another server, for what a change does
          --only NAMES    only these; a name that ends in - stands for all that begin with it, one that begins with - for
                          all that end with it
          --serve         be the server: relay on 127.0.0.1 with one event loop until SIGTERM, and print the port;
                          --serve-c: the one in C
          --help          this text

        A look at one scenario: relay-bench --only up-100x1-172 --rounds 1 --server ours,c

        \(names.map { "  \($0.name)\(String(repeating: " ", count: max(1, 20 - $0.name.count)))\($0.title)" }
            .joined(separator: "\n"))
        """

    private static var names: [(name: String, title: String)] {
        Scenario.all.map { ($0.name, $0.title) }
            + [(Plan.allocations, "what 10000 allocations cost of time and memory (ours, coturn)")]
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
                self = .serve
                return
            case "--serve-c":
                self = .serveInC
                return
            case "--quick":
                (plan.rounds, plan.secondsPerScenario, plan.scenarios) = (3, 0.5, Scenario.quick)
            case "--rounds":
                plan.rounds = try words.number(in: 1...1000)
            case "--seconds":
                plan.secondsPerScenario = try words.number(in: 0.1...600)
            case "--server":
                let others = plan.contenders.filter { $0.name == "other" }
                plan.contenders = try words.value().split(separator: ",").map(Self.contender) + others
            case "--other":
                plan.contenders.append(.other(path: try words.value()))
            case "--only":
                plan.restrict(to: try words.value().split(separator: ","))
                guard !plan.isEmpty else { throw BadUsage("--only names nothing that there is; see --help") }
            default:
                throw BadUsage("unknown argument \(option); see --help")
            }
        }
        self = .measure(plan)
    }

    private static func contender(_ name: Substring) throws -> Contender {
        switch name {
        case "ours": .ours
        case "coturn": .coturn
        case "c": .minimal
        default: throw BadUsage("--server takes ours, coturn, c")
        }
    }
}
