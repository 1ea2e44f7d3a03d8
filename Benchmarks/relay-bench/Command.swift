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
        var words = ArgumentReader(arguments)
        while let option = words.next() {
            switch option {
            case "--help", "-h":
                self = .help
                return
            case "--serve":
                self = .serve
                return
            case "--rounds":
                plan.rounds = try words.number(in: 1...1000)
            case "--seconds":
                plan.secondsPerLoad = try words.number(in: 0.1...600)
            case "--patience":
                plan.patienceSeconds = try words.number(in: 0...86_400)
            case "--server":
                guard let server = Server(rawValue: try words.value())
                else { throw BadUsage("--server takes one of the names that --help lists") }
                plan.servers = [server]
            case "--load":
                let name = try words.value()
                plan.loads = Load.all.filter { $0.name == name }
                guard !plan.loads.isEmpty
                else { throw BadUsage("--load takes one of the names that --help lists") }
            default:
                throw BadUsage("unknown argument \(option); see --help")
            }
        }
        self = .compare(plan)
    }
}
