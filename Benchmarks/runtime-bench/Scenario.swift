/// A load that every contender gets.
struct Scenario {
    enum Load {
        /// GET over keep-alive connections of HTTP/1.1.
        case wrk(path: String, connections: Int, isTLS: Bool)
        /// GET over HTTP/2 and TLS.
        case h2load(path: String, connections: Int, streams: Int)
    }

    /// What is counted, by second of the server's processor time.
    enum Unit: String {
        case requests = "requests"
        case megabytes = "MB"
    }

    let name: String
    let title: String
    let load: Load
    let unit: Unit

    static let all = [
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
}

/// What a load did.
struct LoadOutcome {
    var requests = 0
    var bytes = 0
    /// Answers that were wrong or did not come.
    var faults = 0
}
