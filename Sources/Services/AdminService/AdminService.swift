package import Base
import HTTP
import HTTPCodec
import JSONCodec
package import Runtime
import Synchronization

/// What an operator and a monitoring system may look at: `/metrics`, `/healthz`, `/readyz`. Read-only, on an address of its
/// own.
///
/// It answers to the end of the process: while the others drain, `/readyz` says so and `/metrics` goes on.
package final class AdminService: Service {
    package struct Configuration: Equatable, Sendable {
        /// Where the administration is listened for. Whoever reaches it can read, not change.
        package var address = SocketAddress(.loopbackV4, port: 9480)
        /// Connections at a time; more are closed at once.
        package var maxConnections = 64

        package init() {}
    }

    private let configuration: Configuration
    private let loop: EventLoop
    private let logger: Logger
    private let server: HTTPServer
    private let readiness: ProcessReadiness
    private let listener = Mutex<TCPListener?>(nil)
    private let connections = Atomic<Int>(0)

    /// - Parameter checks: all of them have to pass for `/readyz` to say yes.
    package init(
        configuration: Configuration, loop: EventLoop, metrics: MetricsRegistry, checks: [ReadinessCheck],
        logger: Logger
    ) {
        self.configuration = configuration
        self.loop = loop
        self.logger = logger
        let readiness = ProcessReadiness(checks: checks)
        self.readiness = readiness
        ProcessMetrics.register(in: metrics)
        var limits = HTTPServer.Configuration()
        limits.maxHeadBytes = 8192
        limits.idleTimeoutMs = 120_000
        server = HTTPServer(
            configuration: limits, routes: Self.routes(metrics: metrics, readiness: readiness), logger: logger,
            metrics: metrics, name: "admin")
    }

    /// Where it listens; nil before `start`.
    package var localAddress: SocketAddress? { listener.withLock { $0?.localAddress } }

    /// Begins to listen.
    ///
    /// - Throws: `SystemError`, as when another process has the address.
    package func start() throws {
        let listener = try TCPListener.listen(on: configuration.address, loops: [loop]) { [self] in accept($0) }
        self.listener.withLock { $0 = listener }
        logger.info("administration is open", metadata: ["address": "\(listener.localAddress)"])
    }

    /// Starts unless that has been done, and returns when the shutdown begins; it goes on answering.
    package func run(until shutdown: Shutdown) async throws {
        if localAddress == nil { try start() }
        await shutdown.wait()
        readiness.beginDrain()
    }

    /// Stops listening and ends what is open.
    package func close() {
        listener.withLock { $0.take() }?.close()
        server.beginDrain()
    }

    private func accept(_ stream: ByteStream) {
        guard connections.load(ordering: .relaxed) < configuration.maxConnections else {
            stream.close()
            return
        }
        connections.add(1, ordering: .relaxed)
        stream.loop.spawn { [self] in
            await server.serve(stream)
            connections.subtract(1, ordering: .relaxed)
        }
    }

    private static func routes(metrics: MetricsRegistry, readiness: ProcessReadiness) -> HTTPRoutes {
        var routes = HTTPRoutes()
        routes.on("GET", "/metrics") { exchange, _ in
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"]),
                body: Array(metrics.render().utf8))
        }
        routes.on("GET", "/healthz") { exchange, _ in
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "application/json", "Cache-Control": "no-store"]),
                body: (["status": "alive"] as JSONValue).serialized())
        }
        routes.on("GET", "/readyz") { exchange, _ in
            let reasons = await readiness.reasons()
            let answer: JSONValue = [
                "status": reasons.isEmpty ? "ready" : "not ready",
                "reasons": .array(reasons.map { ["check": .string($0.check), "reason": .string($0.reason)] }),
            ]
            try await exchange.respond(
                HTTPResponse(
                    status: reasons.isEmpty ? 200 : 503,
                    fields: ["Content-Type": "application/json", "Cache-Control": "no-store"]),
                body: answer.serialized())
        }
        return routes
    }
}
