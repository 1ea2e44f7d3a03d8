import Base
import RelayService
import Runtime

/// A relay on loopback ports of the kernel's choice, for the time of a test.
final class RunningRelay: Sendable {
    static let secret = Array("a secret of a test".utf8)
    static let user = UserAddress(tenant: .default, user: "alice")

    let service: RelayService
    let loops: EventLoopGroup
    let metrics: MetricsRegistry
    let shutdown = Shutdown()
    private let task: Task<Void, any Error>

    init(
        loopCount: Int = 2, certificates: RelayCertificates? = nil, log: any LogSink = SilentLogSink(),
        _ change: (inout RelayService.Configuration) -> Void = { _ in }
    ) throws {
        var configuration = RelayService.Configuration()
        configuration.listenAddresses = [SocketAddress(.loopbackV4, port: 0)]
        configuration.tlsListenAddresses = certificates == nil ? [] : [SocketAddress(.loopbackV4, port: 0)]
        configuration.sharedSecret = Self.secret
        configuration.allowLoopbackPeers = true
        configuration.drainTimeoutMs = 100
        change(&configuration)
        loops = try EventLoopGroup(count: loopCount, name: "relay-test")
        metrics = MetricsRegistry()
        let service = try RelayService(
            configuration: configuration, certificates: certificates, loops: loops.loops,
            logger: Logger(label: "test", sink: log),
            metrics: metrics)
        self.service = service
        task = Task { [shutdown] in try await service.run(until: shutdown) }
    }

    var credentials: RelayCredentials {
        get throws {
            guard let user = Self.user else { throw EdgeError(.invalid, "bad name") }
            return service.iceServers(for: user, now: WallClock.now())
        }
    }

    /// Requests the shutdown, and returns when the service has ended.
    func stopped() async throws {
        shutdown.request()
        try await task.value
    }

    func stop() async throws {
        try await stopped()
        loops.shutdown()
    }
}

/// Starts a relay, runs the body, and stops it whatever happens.
func withRelay<Result: Sendable>(
    loopCount: Int = 2, certificates: RelayCertificates? = nil, log: any LogSink = SilentLogSink(),
    _ change: (inout RelayService.Configuration) -> Void = { _ in },
    _ body: (RunningRelay) async throws -> Result
) async throws -> Result {
    let relay = try RunningRelay(loopCount: loopCount, certificates: certificates, log: log, change)
    do {
        let result = try await body(relay)
        try await relay.stop()
        return result
    } catch {
        try await relay.stop()
        throw error
    }
}
