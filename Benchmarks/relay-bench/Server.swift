import Base
import BenchmarkSupport
import Glibc
import RelayEngine
import Runtime
import TURNTesting

/// The servers that are compared.
enum Server: String, CaseIterable {
    case skerry
    case coturn

    /// What the figures are about.
    var title: String {
        get throws {
            switch self {
            case .skerry: "Skerry: RelayService by itself, one event loop (relay-bench --serve)"
            case .coturn: "coturn \(try Self.coturnVersion()): turnserver, one relay thread"
            }
        }
    }

    /// The secret of a server that nobody else reaches, for as long as it is measured.
    static let secret = "known to everybody: for measuring only"

    struct Running {
        let process: ServerProcess
        let address: SocketAddress
        let username: String
        let password: String
    }

    /// Starts the server on a free port of 127.0.0.1, on one processor, and waits until it answers.
    func start(processor: Int32, directory: String) throws -> Running {
        let running =
            switch self {
            case .skerry: try startSkerry(processor)
            case .coturn: try startCoturn(processor, directory)
            }
        let probe = try BlockingTURNClient(server: running.address, username: "", password: "")
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if probe.isAnswered(timeoutMs: 100) { return running }
            usleep(20_000)
        }
        throw BenchError("\(rawValue) does not answer")
    }

    private func startSkerry(_ processor: Int32) throws -> Running {
        let process = try ServerProcess([ServerProcess.ownPath, "--serve"], processor: processor)
        guard let port = process.firstLine().flatMap({ UInt16($0) }) else {
            throw BenchError("the relay did not start")
        }
        guard let user = UserAddress(tenant: .default, user: "bench") else { throw BenchError("bad user name") }
        let credentials = RESTCredentials(user: user, expiresAt: WallClock.now() + .seconds(3600))
        return Running(
            process: process, address: SocketAddress(.loopbackV4, port: port), username: credentials.username,
            password: RESTCredentials.password(username: credentials.username, secret: Array(Self.secret.utf8)))
    }

    private func startCoturn(_ processor: Int32, _ directory: String) throws -> Running {
        let port = try LoopbackSocket().localAddress.port
        let process = try ServerProcess(
            [
                "turnserver", "-n", "--allow-loopback-peers", "--no-cli", "--lt-cred-mech", "--user", "bench:bench",
                "--realm", "bench", "--listening-ip", "127.0.0.1", "--listening-port", "\(port)", "--relay-ip",
                "127.0.0.1", "--no-tcp", "--no-tls", "--no-dtls", "--no-software-attribute", "--min-port", "10000",
                "--max-port",
                "32000", "--no-multicast-peers", "--log-file", "/dev/null", "--no-stdout-log", "-m", "1", "--pidfile",
                "\(directory)/pid", "--db", "\(directory)/db",
            ], processor: processor)
        return Running(
            process: process, address: SocketAddress(.loopbackV4, port: port), username: "bench", password: "bench")
    }

    private static func coturnVersion() throws -> String {
        guard let version = try ServerProcess(["turnserver", "--version"], processor: nil).firstLine()
        else { throw BenchError("turnserver is not installed (Scripts/deps installs it)") }
        return version
    }
}
