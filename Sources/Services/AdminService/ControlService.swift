package import Base
package import HTTP
package import Runtime
import Synchronization

/// Where a node is told what to do: HTTP over a socket of the file system, which only the process's own user may open. `edgectl`
/// speaks to it.
///
/// It answers to the end of the process, so that a drain can be watched.
package final class ControlService: Service {
    package struct Configuration: Equatable, Sendable {
        /// A socket that is made there with mode 0600. Default: the process cannot be told anything.
        package var socketPath: String?
        /// Connections at a time; more are closed at once.
        package var maxConnections = 16

        package init() {}
    }

    private let configuration: Configuration
    private let loop: EventLoop
    private let logger: Logger
    private let server: HTTPServer
    private let listener = Mutex<UnixListener?>(nil)
    private let connections = Atomic<Int>(0)

    package init(
        configuration: Configuration, routes: HTTPRoutes, loop: EventLoop, logger: Logger, metrics: MetricsRegistry
    ) {
        self.configuration = configuration
        self.loop = loop
        self.logger = logger
        var limits = HTTPServer.Configuration()
        limits.maxHeadBytes = 8192
        limits.idleTimeoutMs = 120_000
        server = HTTPServer(configuration: limits, routes: routes, logger: logger, metrics: metrics, name: "control")
    }

    /// Begins to listen, where a path is configured.
    ///
    /// - Throws: `SystemError`, as when another process listens there.
    package func start() throws {
        guard let path = configuration.socketPath else { return }
        let listener = try UnixListener.listen(at: path, loop: loop) { [self] in accept($0) }
        self.listener.withLock { $0 = listener }
        logger.info("control is open", metadata: ["socket": path])
    }

    package func run(until shutdown: Shutdown) async throws {
        await shutdown.wait()
    }

    /// Stops listening, removes the socket, and ends what is open.
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
}
