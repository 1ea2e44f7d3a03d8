package import Base
package import Runtime
import Synchronization

/// One port for all: the first byte of a connection tells TLS from plain HTTP; under TLS, ALPN decides which protocol it
/// carries, and HTTP is the one when none is named.
package final class EdgeListener: Service {
    package struct Configuration: Equatable, Sendable {
        /// From the connection to its first byte, and again to the end of the TLS handshake.
        package var handshakeTimeoutMs = 10_000
        /// Above this, new connections are closed at once.
        package var maxConnections = 20_000
        /// Connections that the kernel keeps for each event loop until they are accepted, as far as net.core.somaxconn allows.
        package var listenBacklog = 1024

        package init() {}
    }

    /// Serves a connection to its end; closes it. Called on the connection's loop.
    package typealias ConnectionHandler = @Sendable (ByteStream) async -> Void

    private let address: SocketAddress
    private let loops: [EventLoop]
    private let tls: TLSContext?
    private let allowsPlain: Bool
    private let server: HTTPServer
    private let protocols: [String: ConnectionHandler]
    private let configuration: Configuration
    private let logger: Logger
    private let listener = Mutex<TCPListener?>(nil)
    private let open = Atomic<Int>(0)
    private let accepted: Counter
    private let refused: Counter
    private let failedHandshakes: Counter

    /// - Parameters:
    ///   - tls: the certificate and the protocols to offer; nil for plain connections alone.
    ///   - allowsPlain: whether HTTP is served without TLS too.
    ///   - protocols: who serves which ALPN protocol, beside HTTP.
    package init(
        on address: SocketAddress, loops: [EventLoop], tls: TLSContext?, allowsPlain: Bool, server: HTTPServer,
        protocols: [String: ConnectionHandler] = [:], configuration: Configuration = Configuration(), logger: Logger,
        metrics: MetricsRegistry, name: String = "public"
    ) {
        precondition(tls != nil || allowsPlain, "nothing could be served")
        self.address = address
        self.loops = loops
        self.tls = tls
        self.allowsPlain = allowsPlain
        self.server = server
        self.protocols = protocols
        self.configuration = configuration
        self.logger = logger
        accepted = metrics.counter(
            "skerry_connections_accepted_total", "Connections accepted.", labels: ["listener": name])
        refused = metrics.counter(
            "skerry_connections_refused_total", "Connections closed because there were too many.",
            labels: ["listener": name])
        failedHandshakes = metrics.counter(
            "skerry_tls_handshakes_failed_total", "Connections that ended before their TLS handshake did.",
            labels: ["listener": name])
    }

    /// Begins to listen. `run` does it unless it was done before.
    ///
    /// - Returns: the address with the port that was chosen.
    /// - Throws: when another process has the address.
    @discardableResult
    package func listen() throws -> SocketAddress {
        try listener.withLock { listener in
            if let listener { return listener.localAddress }
            let created = try TCPListener.listen(
                on: address, loops: loops, backlog: Int32(configuration.listenBacklog)
            ) { [self] stream in accept(stream) }
            listener = created
            return created.localAddress
        }
    }

    /// Listens until the shutdown, then lets the HTTP connections end.
    package func run(until shutdown: Shutdown) async throws {
        let bound = try listen()
        logger.info("listening", metadata: ["address": "\(bound)"])
        await shutdown.wait()
        listener.withLock { $0?.close() }
        server.beginDrain()
        await server.drained()
    }

    private func accept(_ stream: ByteStream) {
        guard open.add(1, ordering: .relaxed).newValue <= configuration.maxConnections else {
            open.subtract(1, ordering: .relaxed)
            refused.increment()
            stream.close()
            return
        }
        accepted.increment()
        // Not by `spawn`, whose closures within closures would cost each connection as much memory as its HTTP does.
        Task(executorPreference: stream.loop) { [self] in
            guard await begin(stream), let upgraded = await serve(stream) else { return end(stream) }
            // A task keeps the stack that it has once needed; the next one begins small.
            Task(executorPreference: stream.loop) { [self] in
                await upgraded.run()
                end(stream)
            }
        }
    }

    private func end(_ stream: ByteStream) {
        // A handler that forgot it must not leave the connection open.
        stream.close()
        open.subtract(1, ordering: .relaxed)
    }

    /// Finds out whether the connection is plain, and makes its TLS handshake; false when it ends with that.
    private func begin(_ stream: ByteStream) async -> Bool {
        let deadline = StreamDeadline(stream)
        deadline.set(.milliseconds(configuration.handshakeTimeoutMs))
        defer { deadline.cancel() }
        do {
            guard try await stream.receive() else { return false }
            let isTLS = stream.inbound.withBytes { $0.first == 0x16 }
            if !isTLS { return allowsPlain }
            guard let tls else { return false }
            deadline.set(.milliseconds(configuration.handshakeTimeoutMs))
            try await stream.startTLS(tls)
            return true
        } catch {
            failedHandshakes.increment()
            logger.debug("a connection ended in its handshake", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func serve(_ stream: ByteStream) async -> UpgradedConnection? {
        if let name = stream.tls?.applicationProtocol, let handler = protocols[name] {
            await handler(stream)
            return nil
        }
        return await server.serveRequests(stream)
    }
}
