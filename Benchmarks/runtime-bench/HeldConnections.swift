import BenchmarkSupport
import CLoadGenerator
import Glibc

/// Connections that stand idle, made by a process of its own that does nothing else and keeps them until it is killed.
enum HeldConnections {
    enum Kind: String, CaseIterable {
        case http, tls, websocket, wss

        var isTLS: Bool { self == .tls || self == .wss }
        var isWebSocket: Bool { self == .websocket || self == .wss }

        var title: String {
            switch self {
            case .http: "HTTP/1.1 between two requests"
            case .tls: "HTTP/1.1 over TLS 1.3 between two requests"
            case .websocket: "WebSocket behind a message each way"
            case .wss: "WebSocket over TLS 1.3 behind a message each way"
            }
        }
    }

    /// In the process that keeps them: prints how many could not be opened, and stays.
    static func run(_ port: UInt16, _ kind: Kind, _ count: Int) throws {
        _ = descriptorLimit()
        var tally = skerry_connect_tally()
        skerry_hold(
            port, kind.isTLS ? 1 : 0, kind.isWebSocket ? skerry_client_websocket : skerry_client_http, Int32(count),
            &tally)
        say("\(tally.failed) failed")
        while true { pause() }
    }

    /// Starts such a process; its first line comes when all stand.
    static func start(_ port: UInt16, _ kind: Kind, _ count: Int) throws -> ServerProcess {
        try ServerProcess(
            [ServerProcess.ownPath, "--hold", "\(port)", kind.rawValue, "\(count)"], processor: nil, showsErrors: true)
    }
}
