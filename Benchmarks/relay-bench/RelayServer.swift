import Base
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
        configuration.listenAddress = SocketAddress(.loopbackV4, port: 0)
        configuration.sharedSecret = Array(Server.secret.utf8)
        configuration.maxAllocationsPerUser = configuration.maxAllocations
        configuration.allowLoopbackPeers = true
        configuration.drainTimeoutMs = 0
        let logger = Logger(label: "relay", level: .warning, sink: StandardErrorLogSink())
        let relay = try RelayService(
            configuration: configuration, loops: loops.loops, logger: logger, metrics: MetricsRegistry())
        print(relay.listenAddress.port)
        fflush(nil)
        try await ServiceGroup.run([relay], on: loops.loops[0], drainTimeout: .seconds(1), logger: logger)
    }
}
