import AdminService
import Base
import HTTP
import HTTPCodec
import Runtime
import Testing

@Suite(.timeLimit(.minutes(1))) struct ControlServiceTests {
    private let loops: EventLoopGroup
    private let path = "/tmp/skerry-control-\(UUID.v7(at: WallTime(seconds: 0))).sock"

    init() throws {
        loops = try EventLoopGroup(count: 1, name: "control-test")
    }

    private func service(at path: String?) -> ControlService {
        var configuration = ControlService.Configuration()
        configuration.socketPath = path
        var routes = HTTPRoutes()
        routes.on("POST", "/drain") { exchange, _ in
            try await exchange.respond(HTTPResponse(status: 200), body: Array("draining".utf8))
        }
        return ControlService(
            configuration: configuration, routes: routes, loop: loops.loops[0],
            logger: Logger(label: "test", sink: SilentLogSink()), metrics: MetricsRegistry())
    }

    private func ask() async throws -> String {
        var configuration = HTTPClient.Configuration()
        configuration.unixSocketPath = path
        let client = HTTPClient(loop: loops.loops[0], configuration: configuration)
        let response = try await client.send(HTTPClientRequest("POST", "http://node/drain"))
        return String(decoding: try await response.collect(upTo: 1024), as: UTF8.self)
    }

    @Test func `answers its own user while the others drain, and takes its socket along`() async throws {
        let service = service(at: path)
        try service.start()
        #expect(try FileSystem.mode(of: path) & 0o077 == 0)
        #expect(try await ask() == "draining")
        let shutdown = Shutdown()
        shutdown.request()
        try await service.run(until: shutdown)
        #expect(try await ask() == "draining")
        service.close()
        #expect(!FileSystem.exists(path))
        await #expect(throws: EdgeError.self) { try await ask() }
        loops.shutdown()
    }

    @Test func `without a path there is none`() async throws {
        let service = service(at: nil)
        try service.start()
        await #expect(throws: EdgeError.self) { try await ask() }
        service.close()
        loops.shutdown()
    }
}
