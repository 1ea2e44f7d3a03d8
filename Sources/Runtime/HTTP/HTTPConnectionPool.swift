import Base
import Runtime

/// The connections of a client: how many there may be, which of them are idle, and who waits for one.
///
/// A connection holds a `Slot` from before it is made to its end. Requests wait in the order of their coming; one whose origin
/// has no room does not hold up those of others.
///
/// `@unchecked Sendable`: used on the client's loop alone.
final class HTTPConnectionPool: @unchecked Sendable {
    struct Origin: Hashable, Sendable {
        let isSecure: Bool
        let host: String
        let port: UInt16

        init(_ url: HTTPURL) {
            isSecure = url.isSecure
            host = url.host.lowercased()
            port = url.port
        }
    }

    /// The right to have one connection; given back when nobody holds it any more.
    final class Slot: @unchecked Sendable {
        let origin: Origin
        private let pool: HTTPConnectionPool

        fileprivate init(_ origin: Origin, _ pool: HTTPConnectionPool) {
            self.origin = origin
            self.pool = pool
        }

        deinit { pool.loop.execute { [pool, origin] in pool.slotEnded(origin) } }
    }

    enum Lease {
        case idle(HTTPClientConnection)
        /// Room for a new connection.
        case room(Slot)
    }

    private final class Waiter: @unchecked Sendable {
        let origin: Origin
        let mayReuse: Bool
        var continuation: UnsafeContinuation<Lease, any Error>?
        var timer: TimerID?
        var isCancelled = false

        init(_ origin: Origin, mayReuse: Bool) {
            self.origin = origin
            self.mayReuse = mayReuse
        }
    }

    private let loop: EventLoop
    private let configuration: HTTPClient.Configuration
    /// The one that was used last comes last.
    private var idle: [HTTPClientConnection] = []
    private var waiters: [Waiter] = []
    private var slots: [Origin: Int] = [:]
    private var slotCount = 0

    init(loop: EventLoop, configuration: HTTPClient.Configuration) {
        self.loop = loop
        self.configuration = configuration
    }

    /// An idle connection, or room for a new one; waits until there is either.
    ///
    /// - Throws: `EdgeError` `.exhausted` when too many wait already, `.timeout`; `CancellationError`.
    func lease(_ origin: Origin, mayReuse: Bool, within timeout: Duration) async throws -> Lease {
        if !waiters.contains(where: { $0.origin == origin }), let lease = take(origin, mayReuse: mayReuse) {
            return lease
        }
        guard waiters.count < configuration.maxQueuedRequests else {
            throw EdgeError(
                .exhausted, "too many requests wait for a connection", side: .internal, isRetryable: true)
        }
        let waiter = Waiter(origin, mayReuse: mayReuse)
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                if waiter.isCancelled || Task.isCancelled {
                    return continuation.resume(throwing: CancellationError())
                }
                waiter.continuation = continuation
                waiters.append(waiter)
                waiter.timer = loop.schedule(after: timeout) { [weak self] in
                    self?.fail(
                        waiter,
                        EdgeError(
                            .timeout, "no connection became free in time", side: .internal, isRetryable: true))
                }
            }
        } onCancel: {
            loop.execute { [weak self] in
                waiter.isCancelled = true
                self?.fail(waiter, CancellationError())
            }
        }
    }

    /// Takes back a connection that can serve another request.
    func keep(_ connection: HTTPClientConnection) {
        idle.removeAll { $0.stream.isClosed }
        let age = loop.now - connection.established
        guard age < .milliseconds(configuration.maxConnectionAgeMs) else { return connection.stream.close() }
        idle.append(connection)
        connection.closeWhenIdle(for: .milliseconds(configuration.idleTimeoutMs))
        serveWaiters()
        if idle.count > configuration.maxIdleConnections { idle.removeFirst().stream.close() }
    }

    /// Closes the idle connections.
    func closeIdle() {
        for connection in idle { connection.stream.close() }
        idle = []
    }

    private func take(_ origin: Origin, mayReuse: Bool) -> Lease? {
        idle.removeAll { $0.stream.isClosed }
        while mayReuse, let index = idle.lastIndex(where: { $0.origin == origin }) {
            let connection = idle.remove(at: index)
            if connection.stream.isQuiet { return .idle(connection) }
            // What has come is its end, or an answer to nothing, which would be taken for the next request's.
            connection.stream.close()
        }
        let ofOrigin = slots[origin, default: 0]
        guard ofOrigin < configuration.maxConnectionsPerOrigin, slotCount < configuration.maxConnections else {
            // An idle connection makes room; its slot comes back when it has gone.
            let isFull = ofOrigin >= configuration.maxConnectionsPerOrigin
            if let index = isFull ? idle.firstIndex(where: { $0.origin == origin }) : idle.indices.first {
                idle.remove(at: index).stream.close()
            }
            return nil
        }
        slots[origin] = ofOrigin + 1
        slotCount += 1
        return .room(Slot(origin, self))
    }

    private func slotEnded(_ origin: Origin) {
        let left = slots[origin, default: 1] - 1
        slots[origin] = left == 0 ? nil : left
        slotCount -= 1
        serveWaiters()
    }

    private func serveWaiters() {
        var index = 0
        while index < waiters.count {
            let waiter = waiters[index]
            if let lease = take(waiter.origin, mayReuse: waiter.mayReuse) {
                waiters.remove(at: index)
                finish(waiter)?.resume(returning: lease)
            } else {
                index += 1
            }
        }
    }

    private func fail(_ waiter: Waiter, _ error: any Error) {
        guard let index = waiters.firstIndex(where: { $0 === waiter }) else { return }
        waiters.remove(at: index)
        finish(waiter)?.resume(throwing: error)
    }

    private func finish(_ waiter: Waiter) -> UnsafeContinuation<Lease, any Error>? {
        if let timer = waiter.timer { loop.cancel(timer) }
        waiter.timer = nil
        defer { waiter.continuation = nil }
        return waiter.continuation
    }
}
