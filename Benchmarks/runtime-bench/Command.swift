import BenchmarkSupport

/// What the command line asks for.
enum Command {
    case help
    case serve(directory: String)
    case compare(Plan)

    /// What is compared, and for how long.
    struct Plan {
        var rounds = 5
        var secondsPerScenario = 2
        var contenders = Contender.allCases
        var scenarios = Scenario.all
    }

    static let usage = """
        Puts the same load on Skerry's runtime and on nginx in turns, and prints what it costs each, as Markdown.

        usage: runtime-bench [--rounds N] [--seconds S] [--server NAME] [--only NAME[,NAME...]]
               runtime-bench --serve DIRECTORY

          --rounds N     rounds, each with new servers and every scenario (default 5)
          --seconds S    duration of a scenario (default 2)
          --server NAME  only this server: \(Contender.allCases.map(\.rawValue).joined(separator: ", "))
          --only NAMES   only these scenarios; a name that ends in - stands for all that begin with it
          --serve DIR    be the server, with one event loop, until SIGTERM, and print the port, which takes plain
                         connections and TLS: /16k from memory, /1m and /50m by sendfile from DIR/www, certificate and key
                         in DIR/certificate.pem and DIR/key.pem
          --help         this text

        A quick look at one scenario: runtime-bench --only http-16k --rounds 1

        \(Scenario.all.map { "  \($0.name.padded(to: 15))\($0.title)" }.joined(separator: "\n"))
        """

    init(_ arguments: [String]) throws {
        var plan = Plan()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            func value() throws -> String {
                guard let value = rest.popFirst() else { throw BadUsage("\(argument) needs a value") }
                return value
            }
            switch argument {
            case "--help", "-h":
                self = .help
                return
            case "--serve":
                self = .serve(directory: try value())
                return
            case "--rounds":
                guard let rounds = Int(try value()), (1...1000).contains(rounds)
                else { throw BadUsage("--rounds takes a number from 1 to 1000") }
                plan.rounds = rounds
            case "--seconds":
                guard let seconds = Int(try value()), (1...600).contains(seconds)
                else { throw BadUsage("--seconds takes a number from 1 to 600") }
                plan.secondsPerScenario = seconds
            case "--server":
                guard let contender = Contender(rawValue: try value())
                else { throw BadUsage("--server takes one of the names that --help lists") }
                plan.contenders = [contender]
            case "--only":
                plan.scenarios = try Self.scenarios(try value())
            default:
                throw BadUsage("unknown argument \(argument); see --help")
            }
        }
        self = .compare(plan)
    }

    private static func scenarios(_ list: String) throws -> [Scenario] {
        let wanted = list.split(separator: ",")
        for name in wanted where !Scenario.all.contains(where: { fits($0, name) }) {
            throw BadUsage("there is no scenario \(name); see --help")
        }
        return Scenario.all.filter { scenario in wanted.contains { fits(scenario, $0) } }
    }

    private static func fits(_ scenario: Scenario, _ wanted: Substring) -> Bool {
        wanted.hasSuffix("-") ? scenario.name.hasPrefix(wanted) : scenario.name == wanted
    }
}
