import BenchmarkSupport
import Glibc

/// The servers that are compared.
enum Contender: String {
    case skerry
    case nginx
    case node
    case skerryUDPEcho, skerryUDPRelay
    case cUDPEcho, cUDPRelay

    var isOurs: Bool {
        switch self {
        case .skerry, .skerryUDPEcho, .skerryUDPRelay: true
        case .nginx, .node, .cUDPEcho, .cUDPRelay: false
        }
    }

    /// In tables.
    var name: String {
        switch self {
        case .skerry, .skerryUDPEcho, .skerryUDPRelay: "Skerry"
        case .nginx: "nginx"
        case .node: "Node.js ws"
        case .cUDPEcho, .cUDPRelay: "C"
        }
    }

    /// What the figures are about.
    var title: String {
        get throws {
            switch self {
            case .skerry: "Skerry: EdgeListener and HTTPServer, one event loop (`runtime-bench --serve`)."
            case .nginx:
                """
                \(try Self.version(of: "nginx -v")): one worker without a master, sendfile on, open_file_cache off, \
                access_log off; TLS 1.3 with AES-128-GCM and session tickets. Both use the same OpenSSL and certificate \
                (ECDSA P-256).
                """
            case .node: "Node.js \(try Self.version(of: "node --version")) with ws, perMessageDeflate off."
            case .skerryUDPEcho, .skerryUDPRelay: "Skerry: UDPSocket on one event loop (`runtime-bench --serve-udp`)."
            case .cUDPEcho, .cUDPRelay: "C: recvfrom and sendto without checks (`runtime-bench --serve-udp-c`)."
            }
        }
    }

    /// Starts the server on one processor, and waits until it listens.
    ///
    /// - Parameter directory: as `Fixtures` made it.
    func start(processor: Int32, directory: String) throws -> RunningContender {
        guard let command = command(directory) else {
            return try Nginx.start(processor: processor, directory: directory)
        }
        let process = try ServerProcess(command, processor: processor, showsErrors: true)
        let ports = process.firstLine()?.split(separator: " ").compactMap { UInt16($0) } ?? []
        guard let first = ports.first, let last = ports.last else { throw BenchError("\(name) did not start") }
        return RunningContender(process: process, ports: (first, last))
    }

    /// Of servers that choose their ports themselves, and print them.
    private func command(_ directory: String) -> [String]? {
        switch self {
        case .nginx: nil
        case .skerry: [ServerProcess.ownPath, "--serve", directory]
        case .skerryUDPEcho: [ServerProcess.ownPath, "--serve-udp", "echo"]
        case .skerryUDPRelay: [ServerProcess.ownPath, "--serve-udp", "relay"]
        case .cUDPEcho: [ServerProcess.ownPath, "--serve-udp-c", "echo"]
        case .cUDPRelay: [ServerProcess.ownPath, "--serve-udp-c", "relay"]
        // Where Debian has the modules; a Node.js from elsewhere does not look there.
        case .node: ["env", "NODE_PATH=/usr/share/nodejs", "node", "-e", Self.nodeScript]
        }
    }

    private static let nodeScript = """
        const { WebSocketServer } = require('ws')
        const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
        server.on('connection', socket => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
        server.on('listening', () => console.log(server.address().port))
        """

    private static func version(of command: String) throws -> String {
        // nginx writes its version to standard error.
        let (output, status) = try ServerProcess(["sh", "-c", "\(command) 2>&1"], processor: nil).finish()
        guard status == 0, let version = output.split(whereSeparator: \.isWhitespace).last else {
            throw BenchError("\(command) does not work (Scripts/deps installs it)")
        }
        return String(version)
    }
}

/// A server that is ready for the load.
struct RunningContender {
    let process: ServerProcess
    /// For plain connections and for TLS; or the two sides of a relay.
    let ports: (first: UInt16, second: UInt16)

    func port(isTLS: Bool) -> UInt16 { isTLS ? ports.second : ports.first }

    func url(_ path: String, isTLS: Bool) -> String {
        "\(isTLS ? "https" : "http")://127.0.0.1:\(port(isTLS: isTLS))\(path)"
    }
}
