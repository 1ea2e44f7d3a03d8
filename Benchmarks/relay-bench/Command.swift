import BenchmarkSupport

/// What the command line asks for.
enum Command {
    case help
    case serve
    case compare(Plan)

    /// What is compared, and for how long.
    struct Plan {
        var rounds = 5
        var secondsPerLoad = 2.0
        /// How long to wait for quiet rounds in all.
        var patienceSeconds = 0
        var servers = Server.allCases
        var loads = Load.all
    }

    static let usage = """
        Relays packets through Skerry's relay and through coturn in turns, and prints what they cost.

        usage: relay-bench [--rounds N] [--seconds S] [--patience S] [--server NAME] [--load NAME]
               relay-bench --serve

          --rounds N      rounds, each with every server and load (default 5)
          --seconds S     duration of a load (default 2; the paced one takes half as long again)
          --patience S    wait for the machine to be quiet before a round, and do rounds again in which other programs used
                          more than 5 percent of a processor, for S seconds in all (default 0)
          --server NAME   only this server: \(Server.allCases.map(\.rawValue).joined(separator: ", "))
          --load NAME     only this load: \(Load.all.map(\.name).joined(separator: ", "))
          --serve         be the server: relay on 127.0.0.1 with one event loop until SIGTERM, and print the port
          --help          this text
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
                self = .serve
                return
            case "--rounds":
                guard let rounds = Int(try value()), (1...1000).contains(rounds)
                else { throw BadUsage("--rounds takes a number from 1 to 1000") }
                plan.rounds = rounds
            case "--seconds":
                guard let seconds = Double(try value()), (0.1...600).contains(seconds)
                else { throw BadUsage("--seconds takes a number from 0.1 to 600") }
                plan.secondsPerLoad = seconds
            case "--patience":
                guard let seconds = Int(try value()), (0...86_400).contains(seconds)
                else { throw BadUsage("--patience takes a number of seconds from 0 to 86400") }
                plan.patienceSeconds = seconds
            case "--server":
                guard let server = Server(rawValue: try value())
                else { throw BadUsage("--server takes one of the names that --help lists") }
                plan.servers = [server]
            case "--load":
                let name = try value()
                plan.loads = Load.all.filter { $0.name == name }
                guard !plan.loads.isEmpty
                else { throw BadUsage("--load takes one of the names that --help lists") }
            default:
                throw BadUsage("unknown argument \(argument); see --help")
            }
        }
        self = .compare(plan)
    }
}
