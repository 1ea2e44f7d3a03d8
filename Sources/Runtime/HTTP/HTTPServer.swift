package import Base
import HTTPCodec
package import Runtime
import Synchronization

/// Serves HTTP/1.1 and HTTP/2 on connections that are handed to it.
package final class HTTPServer: Sendable {
    package let configuration: Configuration
    private let routes: HTTPRoutes
    private let logger: Logger
    private let metrics: Metrics
    private let state = Mutex(State())
    private let draining = Atomic<Bool>(false)
    private let cachedDate = Mutex<(second: Int64, text: String)>((-1, ""))

    private struct State {
        var connections: [ObjectIdentifier: ServedConnection] = [:]
        var loops: [ObjectIdentifier: HTTPServerLoop] = [:]
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private struct Metrics: Sendable {
        let connections: Gauge
        let responses: [Counter]
        let duration: Timer
        let parsingErrors: Counter
        /// In the order of the reasons.
        let abuses: [Counter]

        init(_ registry: MetricsRegistry, server: String) {
            connections = registry.gauge(
                "skerry_http_connections", "Open HTTP connections.", labels: ["server": server])
            responses = (1...5).map {
                registry.counter(
                    "skerry_http_responses_total", "Answers, by the class of their status.",
                    labels: ["server": server, "status": "\($0)xx"])
            }
            duration = registry.timer(
                "skerry_http_request_seconds", "From a request's head to the end of its answer.",
                labels: ["server": server])
            parsingErrors = registry.counter(
                "skerry_http_malformed_requests_total", "Requests refused as no valid HTTP.",
                labels: ["server": server])
            abuses = HTTP2AbuseGuard.Reason.allCases.map {
                registry.counter(
                    "skerry_http2_abuse_total", "Connections of HTTP/2 cut off for what they did too often.",
                    labels: ["server": server, "reason": $0.rawValue])
            }
        }
    }

    /// - Parameter name: tells this server's metrics from those of another in the same process.
    package init(
        configuration: Configuration = Configuration(), routes: HTTPRoutes, logger: Logger, metrics: MetricsRegistry,
        name: String = "public"
    ) {
        self.configuration = configuration
        self.routes = routes
        self.logger = logger
        self.metrics = Metrics(metrics, server: name)
    }

    /// Serves a connection to its end, and closes it. Called on the stream's loop, in a task that prefers it.
    package func serve(_ stream: ByteStream) async {
        await serveRequests(stream)?.run()
    }

    /// Serves the requests of a connection.
    ///
    /// - Returns: nil when the connection has ended; otherwise what it has become, for the caller to run.
    func serveRequests(_ stream: ByteStream) async -> UpgradedConnection? {
        stream.loop.preconditionOnLoop()
        let connection = await ServedConnection(self, stream)
        state.withLock { $0.connections[connection.id] = connection }
        metrics.connections.add(1)
        await connection.run()
        if let upgraded = connection.upgraded { return UpgradedConnection(server: self, connection: upgraded) }
        hasEnded(connection.id)
        return nil
    }

    fileprivate func hasEnded(_ id: ObjectIdentifier) {
        metrics.connections.add(-1)
        let waiters = state.withLock { state in
            state.connections[id] = nil
            guard state.connections.isEmpty else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Ends idle connections at once and the others behind the answer that they work on. WebSockets are left to whoever
    /// has opened them.
    package func beginDrain() {
        draining.store(true, ordering: .releasing)
        for connection in state.withLock({ Array($0.connections.values) }) {
            connection.stream.loop.execute { connection.drain() }
        }
    }

    /// Returns when no connection is left. Cancelling the task cuts them all off, and cancels their handlers.
    package func drained() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isEmpty = state.withLock { state in
                    if !state.connections.isEmpty { state.waiters.append(continuation) }
                    return state.connections.isEmpty
                }
                if isEmpty { continuation.resume() }
            }
        } onCancel: {
            for connection in state.withLock({ Array($0.connections.values) }) {
                connection.stream.loop.execute { connection.cancel() }
            }
        }
    }

    /// What this server's connections on a loop share.
    func shared(on loop: EventLoop) -> HTTPServerLoop {
        state.withLock { state in
            if let shared = state.loops[ObjectIdentifier(loop)] { return shared }
            let shared = HTTPServerLoop(loop)
            state.loops[ObjectIdentifier(loop)] = shared
            return shared
        }
    }

    var isDraining: Bool { draining.load(ordering: .acquiring) }

    /// The `Date` of an answer, written once a second.
    func date() -> String {
        let now = WallClock.now()
        return cachedDate.withLock { cached in
            if cached.second != now.seconds { cached = (now.seconds, HTTPDate.format(now)) }
            return cached.text
        }
    }

    func countParsingError() { metrics.parsingErrors.increment() }

    func countAbuse(_ reason: HTTP2AbuseGuard.Reason) {
        for (candidate, counter) in zip(HTTP2AbuseGuard.Reason.allCases, metrics.abuses) where candidate == reason {
            counter.increment()
        }
    }

    /// Finds the handler, and answers for what it throws.
    func answer(_ exchange: HTTPExchange) async {
        let start = exchange.loop.now
        do {
            let (handler, parameters) = try route(exchange.request)
            try await handler(exchange, parameters)
            if exchange.state != .ended { try await complete(exchange) }
        } catch {
            await fail(exchange, error)
        }
        metrics.duration.record(MonotonicClock.now() - start)
        let statusClass = exchange.status / 100
        if (1...5).contains(statusClass) { metrics.responses[statusClass - 1].increment() }
    }

    private func route(_ request: HTTPRequest) throws -> (HTTPRoutes.Handler, HTTPParameters) {
        switch routes.match(request) {
        case .found(let handler, let parameters, _): return (handler, parameters)
        case .methodNotAllowed(let allowed):
            let list = allowed.joined(separator: ", ")
            throw ProblemDetails(status: 405, detail: "Allowed here: \(list).", fields: ["Allow": list])
        case .notFound: throw ProblemDetails(status: 404, detail: "There is nothing at this path.")
        }
    }

    // Not part of `answer`: its frame is memory of every connection.
    @inline(never)
    private func fail(_ exchange: HTTPExchange, _ error: any Error) async {
        var pattern = ""
        if case .found(_, _, let found) = routes.match(exchange.request) { pattern = found }
        do {
            try await exchange.fail(problem(of: error, route: pattern))
        } catch {
            logger.debug("an answer did not arrive", metadata: ["error": "\(error)"])
        }
    }

    func noteWebSocketFailure(_ error: any Error) {
        if error is CancellationError || (error as? EdgeError)?.kind == .closed { return }
        logger.error("a WebSocket's handler failed", metadata: ["error": "\(error)"])
    }

    /// A handler that returns without having answered has forgotten it.
    private func complete(_ exchange: HTTPExchange) async throws {
        switch exchange.state {
        case .ended, .upgraded: return
        case .streaming: try await exchange.end()
        case .notBegun: throw EdgeError(.io, "the handler gave no answer", side: .internal)
        }
    }

    /// The log names the route, not the path, which may hold a signature.
    private func problem(of error: any Error, route: String) -> ProblemDetails {
        switch error {
        case let problem as ProblemDetails: return problem
        case let error as HTTPParsingError: return ProblemDetails(error)
        case let error as EdgeError:
            let problem = ProblemDetails(error)
            if problem.status >= 500, error.kind != .closed {
                logger.warning("a request failed", metadata: ["route": route, "error": "\(error)"])
            }
            return problem
        case is CancellationError: return ProblemDetails(status: 503, detail: "Shutting down. Try again later.")
        default:
            logger.error("a request failed", metadata: ["route": route, "error": "\(error)"])
            return ProblemDetails(status: 500, detail: "Something went wrong here. Try again later.")
        }
    }
}

/// A connection that is a WebSocket now.
struct UpgradedConnection: Sendable {
    fileprivate let server: HTTPServer
    fileprivate let connection: HTTPServerConnection

    /// Serves it to its end. On the connection's loop.
    func run() async {
        await connection.serveWebSocket()
        server.hasEnded(ObjectIdentifier(connection))
    }
}
