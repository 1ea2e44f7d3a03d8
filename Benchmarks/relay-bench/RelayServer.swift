import Base
import BenchmarkSupport
import CLoadGenerator
import Glibc
import RelayService
import Runtime

/// The relay as edge-node runs it, but by itself and on one event loop, so that its figures are the relay's alone.
enum RelayServer {
    static func run() async throws {
        ServiceGroup.blockSignals()
        let loops = try EventLoopGroup(count: 1, name: "relay")
        defer { loops.shutdown() }
        var configuration = RelayService.Configuration()
        configuration.listenAddresses = [SocketAddress(.loopbackV4, port: 0)]
        configuration.tlsListenAddresses = []
        configuration.sharedSecret = Array(Contender.secret.utf8)
        configuration.firstRelayPort = Contender.relayPorts.lowerBound
        configuration.lastRelayPort = Contender.relayPorts.upperBound
        // All clients are one user at one address here.
        configuration.maxAllocations = 20_000
        configuration.maxAllocationsPerTenant = 20_000
        configuration.maxAllocationsPerUser = 20_000
        configuration.unauthenticatedAnswersPerSecond = 1_000_000
        configuration.unauthenticatedAnswersBurst = 1_000_000
        configuration.allowLoopbackPeers = true
        configuration.drainTimeoutMs = 0
        let logger = Logger(label: "relay", level: .error, sink: StandardErrorLogSink())
        let relay = try RelayService(
            configuration: configuration, loops: loops.loops, logger: logger, metrics: MetricsRegistry())
        say("\(relay.listenAddresses[0].port)")
        try await ServiceGroup.run([relay], on: loops.loops[0], drainTimeout: .seconds(1), logger: logger)
    }

    /// The one in C, until the process is killed.
    static func runInC() throws {
        let listener = skerry_udp_bind(4 << 20)
        guard listener >= 0 else { throw BenchError("no socket") }
        say("\(skerry_udp_port(listener))")
        skerry_minimal_relay(listener)
        throw BenchError("the socket has failed")
    }
}
