/// A load that a server of ours gets, and another program for comparison.
struct Scenario {
    enum Load {
        /// GET over keep-alive connections of HTTP/1.1.
        case wrk(path: String, connections: Int, isTLS: Bool)
        /// GET over HTTP/2 and TLS.
        case h2load(path: String, connections: Int, streams: Int)
        /// TLS 1.3 without a request.
        case handshakes(isResumed: Bool, inFlight: Int)
        /// A message on every WebSocket, the next when it has come back.
        case webSocketEcho(connections: Int, payloadBytes: Int)
        /// So many datagrams at once on every flow, and the next ones when these have arrived.
        case udp(flows: Int, burst: Int, payloadBytes: Int)
    }

    /// What is counted, by second of the server's processor time.
    enum Unit: String {
        case requests
        case megabytes = "MB"
        case handshakes
        case messages
        case datagrams
    }

    let name: String
    let title: String
    let load: Load
    let unit: Unit
    var ours = Contender.skerry
    var peer = Contender.nginx

    static let all = http + sessions + udp

    private static let http = [
        Scenario(
            name: "http-16k", title: "HTTP/1.1, 16 KiB, 32 connections",
            load: .wrk(path: "/16k", connections: 32, isTLS: false), unit: .requests),
        Scenario(
            name: "http-1m", title: "HTTP/1.1, 1 MiB, 16 connections",
            load: .wrk(path: "/1m", connections: 16, isTLS: false), unit: .megabytes),
        Scenario(
            name: "http-50m", title: "HTTP/1.1, 50 MiB, 4 connections",
            load: .wrk(path: "/50m", connections: 4, isTLS: false), unit: .megabytes),
        Scenario(
            name: "tls-16k", title: "TLS 1.3, 16 KiB, 32 connections",
            load: .wrk(path: "/16k", connections: 32, isTLS: true), unit: .requests),
        Scenario(
            name: "tls-1m", title: "TLS 1.3, 1 MiB, 16 connections",
            load: .wrk(path: "/1m", connections: 16, isTLS: true), unit: .megabytes),
        Scenario(
            name: "tls-50m", title: "TLS 1.3, 50 MiB, 4 connections",
            load: .wrk(path: "/50m", connections: 4, isTLS: true), unit: .megabytes),
        Scenario(
            name: "h2-16k", title: "HTTP/2 over TLS, 16 KiB, 8 connections with 8 streams",
            load: .h2load(path: "/16k", connections: 8, streams: 8), unit: .requests),
        Scenario(
            name: "h2-1m", title: "HTTP/2 over TLS, 1 MiB, 8 connections with 2 streams",
            load: .h2load(path: "/1m", connections: 8, streams: 2), unit: .megabytes),
    ]

    private static let sessions = [
        Scenario(
            name: "handshake-full", title: "TLS 1.3 handshakes, full, 32 at a time",
            load: .handshakes(isResumed: false, inFlight: 32), unit: .handshakes),
        Scenario(
            name: "handshake-resumed", title: "TLS 1.3 handshakes, resumed, 32 at a time",
            load: .handshakes(isResumed: true, inFlight: 32), unit: .handshakes),
        Scenario(
            name: "websocket-echo", title: "WebSocket echo, 128 bytes, 100 connections",
            load: .webSocketEcho(connections: 100, payloadBytes: 128), unit: .messages, peer: .node),
    ]

    private static let udp = [
        Scenario(
            name: "udp-echo", title: "UDP echo, 172 bytes, bursts of 32",
            load: .udp(flows: 1, burst: 32, payloadBytes: 172), unit: .datagrams, ours: .skerryUDPEcho, peer: .cUDPEcho),
        Scenario(
            name: "udp-echo-100", title: "UDP echo, 172 bytes, one each of 100 flows",
            load: .udp(flows: 100, burst: 1, payloadBytes: 172), unit: .datagrams, ours: .skerryUDPEcho,
            peer: .cUDPEcho),
        Scenario(
            name: "udp-relay", title: "UDP between two sockets, 172 bytes, bursts of 32",
            load: .udp(flows: 1, burst: 32, payloadBytes: 172), unit: .datagrams, ours: .skerryUDPRelay,
            peer: .cUDPRelay),
    ]
}

/// What a load did.
struct LoadOutcome {
    /// Requests, handshakes, messages, datagrams.
    var count = 0
    var bytes = 0
    /// Answers that were wrong or did not come.
    var faults = 0
}
