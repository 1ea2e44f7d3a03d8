import Base
import Glibc
import HTTP
import HTTPCodec
import Runtime

/// A server for the clients of Tests/Interop: what it is sent comes back. It has no use but to be tested.
///
///     echo-server [--loops N] [--ping-interval-ms N] [--pong-timeout-ms N] [--close-timeout-ms N] [--head-timeout-ms N]
///         [--idle-timeout-ms N] [--body-timeout-ms N] [--min-body-bytes-per-second N]
///         [--max-requests-per-connection N] [--max-queued-bytes N] [--drain-timeout-ms N] [--cancel-timeout-ms N]
///
/// Listens on a port of 127.0.0.1 that it prints, until SIGTERM.
///
/// - `GET /echo?max=BYTES` opens a WebSocket that sends back each message; `max` bounds one (16 MiB).
/// - `GET /burst?count=N&bytes=N` opens one that sends so many messages without being asked, and closes.
/// - `POST /echo` answers with the body it got, `POST /trailers` with the fields behind the body, a line for each.
/// - `GET /bytes/N` answers with N bytes, `GET /slow` with one after a second, `GET /patient` never, unless it is cancelled,
///   and `GET /stuck` not even then.
@main
enum EchoServer {
    /// Not asynchronous: the main queue that such a main brings along lets signals through.
    static func main() throws {
        ServiceGroup.blockSignals()
        let options = try Options(CommandLine.arguments.dropFirst())
        let loops = try EventLoopGroup(count: options.loops, name: "echo")
        let logger = Logger(label: "echo", level: .warning, sink: StandardErrorLogSink())
        let metrics = MetricsRegistry()
        let server = HTTPServer(configuration: options.http, routes: routes(), logger: logger, metrics: metrics)
        let listener = EdgeListener(
            on: SocketAddress(.loopbackV4, port: 0), loops: loops.loops, tls: nil, allowsPlain: true, server: server,
            logger: logger, metrics: metrics)
        print(try listener.listen().port)
        fflush(nil)
        loops.loops[0].spawn {
            do {
                try await ServiceGroup.run(
                    [listener], on: loops.loops[0], drainTimeout: .milliseconds(options.drainTimeoutMs),
                    cancelTimeout: .milliseconds(options.cancelTimeoutMs), logger: logger)
                exit(0)
            } catch {
                logger.error("cannot go on", metadata: ["error": "\(error)"])
                exit(1)
            }
        }
        while true { pause() }
    }

    private static func routes() -> HTTPRoutes {
        var routes = HTTPRoutes()
        routes.on("GET", "/echo") { exchange, _ in
            let maximum = number("max", of: exchange, or: 16 << 20)
            let subprotocol = exchange.offeredSubprotocols.first
            try await exchange.upgradeToWebSocket(subprotocol: subprotocol, maxMessageBytes: maximum) { webSocket in
                while let message = try await webSocket.receive() {
                    switch message {
                    case .text(let text): try await webSocket.send(text: text)
                    case .binary(let bytes): try await webSocket.send(binary: bytes)
                    }
                }
            }
        }
        routes.on("GET", "/burst") { exchange, _ in
            let piece = [UInt8](repeating: 0x42, count: number("bytes", of: exchange, or: 1000))
            let count = number("count", of: exchange, or: 1000)
            try await exchange.upgradeToWebSocket(subprotocol: nil, maxMessageBytes: 1000) { webSocket in
                for _ in 0..<count where !webSocket.offer(binary: piece) { break }
                await webSocket.close()
            }
        }
        routes.on("POST", "/echo") { exchange, _ in
            let body = try await exchange.body.collect(upTo: 16 << 20)
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "application/octet-stream"]), body: body)
        }
        routes.on("GET", "/bytes/:count") { exchange, parameters in
            guard let count = Int(parameters["count"]), (0...1 << 26).contains(count) else {
                throw ProblemDetails(status: 404, detail: "The path ends with a number of bytes.")
            }
            let body = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                for index in 0..<count { buffer.initializeElement(at: index, to: UInt8(truncatingIfNeeded: index)) }
                initialized = count
            }
            try await exchange.respond(HTTPResponse(status: 200), body: body)
        }
        routes.on("POST", "/trailers") { exchange, _ in
            _ = try await exchange.body.collect(upTo: 16 << 20)
            let lines = exchange.body.trailers.map { "\($0.name): \($0.value)\n" }.joined()
            try await exchange.respond(HTTPResponse(status: 200), body: Array(lines.utf8))
        }
        routes.on("GET", "/patient") { exchange, _ in
            try await exchange.loop.sleep(for: .seconds(600))
        }
        routes.on("GET", "/stuck") { _, _ in
            await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
        }
        routes.on("GET", "/slow") { exchange, _ in
            try await exchange.loop.sleep(for: .seconds(1))
            try await exchange.respond(HTTPResponse(status: 200), body: [0x73])
        }
        return routes
    }

    private static func number(_ name: String, of exchange: HTTPExchange, or standard: Int) -> Int {
        exchange.request.queryValue(name).flatMap { Int($0) } ?? standard
    }
}

/// What the command line asks for.
private struct Options {
    struct BadUsage: Error {
        let argument: String
    }

    var loops = 1
    var drainTimeoutMs = 2000
    var cancelTimeoutMs = 2000
    var http = HTTPServer.Configuration()

    init(_ arguments: some Sequence<String>) throws {
        var rest = Array(arguments)[...]
        while let name = rest.popFirst() {
            guard let value = rest.popFirst().flatMap({ Int($0) }), value > 0 else { throw BadUsage(argument: name) }
            switch name {
            case "--loops": loops = value
            case "--ping-interval-ms": http.webSocket.pingIntervalMs = value
            case "--pong-timeout-ms": http.webSocket.pongTimeoutMs = value
            case "--close-timeout-ms": http.webSocket.closeTimeoutMs = value
            case "--head-timeout-ms": http.headTimeoutMs = value
            case "--idle-timeout-ms": http.idleTimeoutMs = value
            case "--body-timeout-ms": http.bodyTimeoutMs = value
            case "--min-body-bytes-per-second": http.minBodyBytesPerSecond = value
            case "--drain-timeout-ms": drainTimeoutMs = value
            case "--cancel-timeout-ms": cancelTimeoutMs = value
            case "--max-requests-per-connection": http.maxRequestsPerConnection = value
            case "--max-queued-bytes": http.webSocket.maxQueuedBytes = value
            default: throw BadUsage(argument: name)
            }
        }
    }
}
