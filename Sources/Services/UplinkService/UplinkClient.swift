package import Base
package import Runtime
import Synchronization
package import Wire

/// An edge's side of the uplink: one link, connected again whenever it is lost.
package final class UplinkClient: Uplink, Service {
    package struct Configuration: Equatable, Sendable {
        /// `host:port` of the central.
        package var centralAddress = "127.0.0.1:8470"
        /// How long the connection, its handshake and the hello may take together.
        package var connectTimeoutMs = 4000
        /// How long a request may take.
        package var requestTimeoutMs = 10_000
        /// Requests that may be under way; more are refused.
        package var maxRequestsInFlight = 8192
        /// Bytes that may wait for the central; above it the link is closed.
        package var maxQueuedBytes = 64 * 1024 * 1024
        /// Between two pings, which also keep the clock.
        package var pingIntervalMs = 1000
        /// A link on which the central has been silent for so long is closed.
        package var deadAfterMs = 4000
        /// Before the first attempt to connect again; each further one waits up to twice as long, at random.
        package var minBackoffMs = 100
        package var maxBackoffMs = 5000

        package init() {}
    }

    private struct Pending {
        var continuation: UnsafeContinuation<UplinkResponse, any Error>
        var deadline: MonotonicInstant
    }

    private struct State {
        var channel: UplinkChannel?
        var nextID: UInt64 = 1
        var pending: [UInt64: Pending] = [:]
        var edges: [EdgeDescription] = []
        var observers: [@Sendable (UplinkEvent) -> Void] = []
        var holds = 0
        var holdWaiter: CheckedContinuation<Void, Never>?
    }

    private let configuration: Configuration
    private let hello: UplinkHello
    private let tls: TLSContext
    private let loop: EventLoop
    private let resolver: HostResolver
    private let logger: Logger
    private let metrics: UplinkMetrics
    private let state = Mutex(State())
    package let clock = CentralClock { MonotonicClock.now() }

    /// - Parameters:
    ///   - tls: has the node's certificate, trusts the cluster's authority, and offers `UplinkProtocol.applicationProtocol`; made by
    ///     `tlsContext`.
    ///   - hello: what the edge says of itself.
    ///   - loop: where the link lives, and where observers are called.
    package init(
        configuration: Configuration, hello: UplinkHello, tls: TLSContext, loop: EventLoop, resolver: HostResolver,
        logger: Logger, metrics: MetricsRegistry
    ) {
        self.configuration = configuration
        self.hello = hello
        self.tls = tls
        self.loop = loop
        self.resolver = resolver
        self.logger = logger
        self.metrics = UplinkMetrics(metrics, side: "edge")
    }

    /// A context for the edge's end: only a central of the cluster is accepted on the other.
    package static func tlsContext(
        cluster: String, authorityPEM: String, certificatePEM: String, privateKeyPEM: String
    ) throws -> TLSContext {
        try TLSContext.client(
            trustPEM: authorityPEM, certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM,
            protocols: [UplinkProtocol.applicationProtocol],
            expectedURIPrefix: NodeIdentity.centralURIPrefix(cluster: cluster))
    }

    // MARK: Any thread

    package var isConnected: Bool { state.withLock { $0.channel != nil } }
    package var edges: [EdgeDescription] { state.withLock { $0.edges } }

    package func observe(_ observer: @escaping @Sendable (UplinkEvent) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    package func hold() { state.withLock { $0.holds += 1 } }

    package func release() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.holds -= 1
            guard state.holds == 0 else { return nil }
            defer { state.holdWaiter = nil }
            return state.holdWaiter
        }
        waiter?.resume()
    }

    @discardableResult
    package func send(_ notice: EdgeNotice) -> Bool {
        guard let channel = state.withLock({ $0.channel }) else { return false }
        do {
            metrics.framesSent.increment()
            return try channel.send(.edgeNotice(notice))
        } catch {
            logger.error("a notice for the central is too large and was dropped")
            return false
        }
    }

    package func request(_ request: UplinkRequest, timeout: Duration?) async throws -> UplinkResponse {
        let deadline = MonotonicClock.now() + (timeout ?? .milliseconds(configuration.requestTimeoutMs))
        let response = try await withUnsafeThrowingContinuation { continuation in
            do {
                try start(request, Pending(continuation: continuation, deadline: deadline))
            } catch {
                continuation.resume(throwing: error)
            }
        }
        guard case .failed(let failure) = response else { return response }
        throw EdgeError(
            failure.kind, failure.message, side: .peer,
            isRetryable: failure.retryAfterMilliseconds != nil || failure.kind == .unavailable
                || failure.kind == .exhausted)
    }

    /// Throws only when the continuation was not taken.
    private func start(_ request: UplinkRequest, _ pending: Pending) throws {
        let (id, channel) = try state.withLock { state throws(EdgeError) in
            guard let channel = state.channel else { throw Self.isDown }
            guard state.pending.count < configuration.maxRequestsInFlight else {
                throw EdgeError(
                    .exhausted, "too many requests to the central are under way; try again", side: .upstream,
                    isRetryable: true)
            }
            let id = state.nextID
            state.nextID += 1
            state.pending[id] = pending
            return (id, channel)
        }
        metrics.framesSent.increment()
        do {
            // When the channel has closed meanwhile, its end fails all that is pending.
            _ = try channel.send(.request(id: id, request))
        } catch {
            finish(id, .failure(EdgeError(.tooLarge, "\(error)", side: .internal)))
        }
    }

    private func finish(_ id: UInt64, _ result: Result<UplinkResponse, any Error>) {
        state.withLock { $0.pending.removeValue(forKey: id) }?.continuation.resume(with: result)
    }

    private static let isDown = EdgeError(
        .unavailable, "the central cannot be reached; try again", side: .upstream, isRetryable: true)

    // MARK: The life of the link

    /// Connects, and connects again, until the shutdown is requested and nobody holds the link any more.
    package func run(until shutdown: Shutdown) async throws {
        let task = loop.spawn { await self.stayConnected() }
        loop.execute { self.failOverdueRequests() }
        await shutdown.wait()
        await waitForHolds()
        task.cancel()
        state.withLock { $0.channel }?.close()
        await task.value
    }

    private func waitForHolds() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isFree = state.withLock { state in
                    if state.holds == 0 || Task.isCancelled { return true }
                    state.holdWaiter = continuation
                    return false
                }
                if isFree { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.holdWaiter = nil }
                return state.holdWaiter
            }?.resume()
        }
    }

    private func stayConnected() async {
        var backoff = Backoff(minMs: configuration.minBackoffMs, maxMs: configuration.maxBackoffMs)
        while !Task.isCancelled {
            do {
                try await connectOnce { backoff.reset() }
                logger.warning("the link to the central ended", metadata: ["central": configuration.centralAddress])
            } catch {
                if Task.isCancelled { return }
                logger.warning(
                    "the central cannot be reached",
                    metadata: ["central": configuration.centralAddress, "reason": "\(error)"])
            }
            try? await loop.sleep(for: backoff.next())
        }
    }

    /// Connects and serves one link until it ends.
    private func connectOnce(onConnected: () -> Void) async throws {
        guard let colon = configuration.centralAddress.lastIndex(of: ":"),
            let port = UInt16(configuration.centralAddress[configuration.centralAddress.index(after: colon)...])
        else { throw EdgeError(.invalid, "the central's address must be host:port", side: .internal) }
        let host = String(configuration.centralAddress[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
        guard let address = try await resolver.resolve(host, port: port).randomElement() else {
            throw EdgeError(.unavailable, "the central's name has no address", side: .upstream, isRetryable: true)
        }
        let timeout = Duration.milliseconds(configuration.connectTimeoutMs)
        let stream = try await ByteStream.connect(to: address, on: loop, timeout: timeout)
        let channel = UplinkChannel(
            stream, maxQueuedBytes: configuration.maxQueuedBytes, deadAfter: .milliseconds(configuration.deadAfterMs))
        defer { channel.close() }
        let timer = loop.schedule(after: timeout) { channel.close() }
        let ack: UplinkHelloAck
        do {
            try await stream.startTLS(tls, serverName: IPAddress(host) == nil ? host : nil)
            ack = try await greet(channel)
        } catch {
            loop.cancel(timer)
            throw error
        }
        loop.cancel(timer)
        begin(channel, ack)
        defer { end(channel) }
        onConnected()
        while let (head, body) = try await channel.receive() {
            metrics.framesReceived.increment()
            take(head, body)
        }
    }

    private func greet(_ channel: UplinkChannel) async throws -> UplinkHelloAck {
        let sent = MonotonicClock.now()
        try await channel.sendFirst(.request(id: 0, .hello(hello)))
        guard let (head, body) = try await channel.receive() else {
            throw EdgeError(
                .forbidden, "the central closed the link: it may not accept this node's certificate", side: .upstream)
        }
        switch try UplinkFrame(head, body: body) {
        case .response(_, .helloAck(let ack)):
            clock.record(centralTime: ack.serverTime, sent: sent, received: MonotonicClock.now())
            return ack
        case .response(_, .failed(let failure)):
            metrics.refused.increment()
            throw EdgeError(failure.kind, "the central refused this node: \(failure.message)", side: .upstream)
        default: throw EdgeError(.corrupt, "the central did not answer the hello", side: .upstream)
        }
    }

    private func begin(_ channel: UplinkChannel, _ ack: UplinkHelloAck) {
        channel.watch()
        loop.spawn { await channel.write() }
        state.withLock { state in
            state.channel = channel
            state.edges = ack.edges
        }
        metrics.links.set(1)
        logger.notice(
            "connected to the central",
            metadata: ["central": configuration.centralAddress, "cluster": ack.cluster, "version": "\(ack.version)"])
        tell(.connected(ack))
        ping(channel)
    }

    private func end(_ channel: UplinkChannel) {
        channel.close()
        let lost = state.withLock { state in
            state.channel = nil
            defer { state.pending = [:] }
            return Array(state.pending.values)
        }
        metrics.links.set(0)
        for pending in lost { pending.continuation.resume(throwing: Self.isDown) }
        tell(.disconnected)
    }

    private func tell(_ event: UplinkEvent) {
        for observer in state.withLock({ $0.observers }) { observer(event) }
    }

    private func take(_ head: UplinkFrame.Head, _ body: [UInt8]) {
        do {
            switch try UplinkFrame(head, body: body) {
            case .response(let id, let response): finish(id, .success(response))
            case .centralNotice(let notice):
                if case .edges(let edges) = notice { state.withLock { $0.edges = edges } }
                tell(.notice(notice))
            case .request, .edgeNotice: break
            }
        } catch {
            metrics.framesRefused.increment()
            logger.warning(
                "skipped a frame of the central", metadata: ["kind": "\(head.kind)", "reason": "\(error)"])
            if head.group == .response {
                finish(
                    head.requestID, .failure(EdgeError(.corrupt, "the central's answer is malformed", side: .upstream)))
            }
        }
    }

    private func ping(_ channel: UplinkChannel) {
        guard !channel.isClosed else { return }
        loop.spawn {
            let sent = MonotonicClock.now()
            let answer = try? await self.request(
                .ping(sentNanoseconds: sent.nanoseconds), timeout: .milliseconds(self.configuration.deadAfterMs))
            if case .pong(let time) = answer {
                self.clock.record(centralTime: time, sent: sent, received: MonotonicClock.now())
            }
        }
        loop.schedule(after: .milliseconds(configuration.pingIntervalMs)) { [weak self] in self?.ping(channel) }
    }

    /// Looks for requests whose deadline has passed, ten times a second, as long as the client lives.
    private func failOverdueRequests() {
        let now = MonotonicClock.now()
        let overdue = state.withLock { state in
            let ids = state.pending.filter { $0.value.deadline <= now }.map(\.key)
            return ids.compactMap { state.pending.removeValue(forKey: $0) }
        }
        for pending in overdue {
            pending.continuation.resume(
                throwing: EdgeError(
                    .timeout, "the central did not answer in time; try again", side: .upstream, isRetryable: true))
        }
        loop.schedule(after: .milliseconds(100)) { [weak self] in self?.failOverdueRequests() }
    }
}
