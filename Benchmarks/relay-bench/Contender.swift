import Base
import BenchmarkSupport
import CLoadGenerator
import Glibc
import RelayEngine
import Runtime
import TURNTesting

/// The servers that are compared.
enum Contender: Hashable {
    case ours
    /// Another build of this program, for what a change does.
    case other(path: String)
    case coturn
    case minimal

    var name: String {
        switch self {
        case .ours: "ours"
        case .other: "other"
        case .coturn: "coturn"
        case .minimal: "c"
        }
    }

    /// Whether it answers STUN, authenticates and keeps allocations.
    var isTURN: Bool { self != .minimal }

    /// What the figures are about.
    var title: String {
        get throws {
            switch self {
            case .ours: "ours: RelayService by itself, one event loop (`relay-bench --serve`)."
            case .other(let path): "other: the same in another build, \(path)."
            case .coturn: "\(try Self.coturnVersion()): turnserver, one relay thread (`-m 1`), UDP only."
            case .minimal: "c: epoll, recvfrom and sendto on a socket per allocation (`relay-bench --serve-c`)."
            }
        }
    }

    /// The secret of a server that nobody else reaches, for as long as it is measured.
    static let secret = "known to everybody: for measuring only"
    /// Where relay sockets are: below the ports that the kernel gives to the load's sockets.
    static let relayPorts: ClosedRange<UInt16> = 10000...32000

    /// Starts the server on a free port of 127.0.0.1, on one processor, and waits until it answers.
    func start(processor: Int32, directory: String) throws -> RunningContender {
        switch self {
        case .ours: return try startOurs(ServerProcess.ownPath, processor)
        case .other(let path): return try startOurs(path, processor)
        case .coturn: return try startCoturn(processor, directory)
        case .minimal:
            let process = try ServerProcess([ServerProcess.ownPath, "--serve-c"], processor: processor)
            return RunningContender(process: process, port: try port(printedBy: process), username: "", password: "")
        }
    }

    private func port(printedBy process: ServerProcess) throws -> UInt16 {
        guard let port = process.firstLine().flatMap({ UInt16($0) }) else { throw BenchError("\(name) did not start") }
        return port
    }

    private func startOurs(_ path: String, _ processor: Int32) throws -> RunningContender {
        let process = try ServerProcess([path, "--serve"], processor: processor, showsErrors: true)
        guard let user = UserAddress(tenant: .default, user: "bench") else { throw BenchError("bad user name") }
        let credentials = RESTCredentials(user: user, expiresAt: WallClock.now() + .seconds(3600))
        let running = RunningContender(
            process: process, port: try port(printedBy: process), username: credentials.username,
            password: RESTCredentials.password(username: credentials.username, secret: Array(Self.secret.utf8)))
        try waitUntilAnswered(running)
        return running
    }

    private func startCoturn(_ processor: Int32, _ directory: String) throws -> RunningContender {
        // Of UDP: the load has thousands of sockets there.
        let probe = skerry_udp_bind(1 << 16)
        let port = skerry_udp_port(probe)
        close(probe)
        let options = """
            -n --allow-loopback-peers --no-cli --lt-cred-mech --user bench:bench --realm bench --listening-ip 127.0.0.1
            --listening-port \(port) --relay-ip 127.0.0.1 --no-tcp --no-tls --no-dtls --no-software-attribute
            --min-port \(Self.relayPorts.lowerBound) --max-port \(Self.relayPorts.upperBound) --no-multicast-peers
            --log-file /dev/null --no-stdout-log -m 1 --pidfile \(directory)/pid --db \(directory)/db
            """
        let process = try ServerProcess(
            ["turnserver"] + options.split(whereSeparator: \.isWhitespace).map(String.init), processor: processor)
        let running = RunningContender(process: process, port: port, username: "bench", password: "bench")
        try waitUntilAnswered(running)
        return running
    }

    private func waitUntilAnswered(_ running: RunningContender) throws {
        let address = SocketAddress(.loopbackV4, port: running.port)
        let probe = try BlockingTURNClient(server: address, username: "", password: "")
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if probe.isAnswered(timeoutMs: 100) { return }
            usleep(20_000)
        }
        throw BenchError("\(name) does not answer")
    }

    private static func coturnVersion() throws -> String {
        guard let version = try ServerProcess(["turnserver", "--version"], processor: nil).firstLine()
        else { throw BenchError("turnserver is not installed (Scripts/deps installs it)") }
        return "coturn \(version)"
    }
}

/// A server that is ready for the load.
struct RunningContender {
    let process: ServerProcess
    let port: UInt16
    let username: String
    let password: String
}
