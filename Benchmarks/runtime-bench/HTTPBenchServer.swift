import Base
import BenchmarkSupport
import Glibc
import HTTP
import HTTPCodec
import Runtime

/// The runtime's HTTP server by itself and on one event loop, behind the listener that edge-node has.
enum HTTPBenchServer {
    static func run(_ directory: String) throws -> Never {
        ServiceGroup.blockSignals()
        _ = descriptorLimit()
        let loops = try EventLoopGroup(count: 1, name: "bench")
        let logger = Logger(label: "bench", level: .warning, sink: StandardErrorLogSink())
        let metrics = MetricsRegistry()
        var configuration = HTTPServer.Configuration()
        configuration.idleTimeoutMs = 3_600_000
        configuration.headTimeoutMs = 3_600_000
        configuration.webSocket.pingIntervalMs = 3_600_000
        let server = HTTPServer(
            configuration: configuration, routes: try routes(directory), logger: logger, metrics: metrics)
        var listening = EdgeListener.Configuration()
        listening.maxConnections = 1_000_000
        listening.handshakeTimeoutMs = 3_600_000
        let tls = try TLSContext.server(
            certificatePEM: try text("\(directory)/certificate.pem"),
            privateKeyPEM: try text("\(directory)/key.pem"), protocols: ["h2", "http/1.1"],
            ticketKeys: TLSTicketKeys(rotation: .seconds(43_200)))
        let listener = EdgeListener(
            on: SocketAddress(.loopbackV4, port: 0), loops: loops.loops, tls: tls, allowsPlain: true, server: server,
            configuration: listening, logger: logger, metrics: metrics)
        say("\(try listener.listen().port)")
        let loop = loops.loops[0]
        loop.spawn {
            do {
                try await ServiceGroup.run([listener], on: loop, drainTimeout: .seconds(1), logger: logger)
                exit(0)
            } catch {
                note("runtime-bench: \(error)")
                exit(1)
            }
        }
        while true { pause() }
    }

    private static func routes(_ directory: String) throws -> HTTPRoutes {
        var routes = HTTPRoutes()
        let small = try File("\(directory)/www/16k", .read).read(at: 0, count: 16 * 1024)
        routes.on("GET", "/16k") { exchange, _ in
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "application/octet-stream"]), body: small)
        }
        for name in ["1m", "50m"] {
            let file = try File("\(directory)/www/\(name)", .read)
            let count = Int(try file.size())
            routes.on("GET", "/\(name)") { exchange, _ in
                try await exchange.start(
                    HTTPResponse(
                        status: 200,
                        fields: ["Content-Type": "application/octet-stream", "Content-Length": "\(count)"]))
                try await exchange.writeFile(file.descriptor, offset: 0, count: count)
                try await exchange.end()
            }
        }
        routes.on("GET", "/echo") { exchange, _ in
            try await exchange.upgradeToWebSocket(subprotocol: nil, maxMessageBytes: 65_536) { socket in
                while let message = try await socket.receive() {
                    switch message {
                    case .text(let text): try await socket.send(text: text)
                    case .binary(let bytes): try await socket.send(binary: bytes)
                    }
                }
            }
        }
        return routes
    }

    private static func text(_ path: String) throws -> String {
        let file = try File(path, .read)
        return String(decoding: try file.read(at: 0, count: Int(try file.size())), as: UTF8.self)
    }
}
