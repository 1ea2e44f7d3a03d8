import AdminService
import Base
import JSONCodec
import Runtime
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct AdminServiceTests {
    let loops: EventLoopGroup
    let metrics = MetricsRegistry()

    init() throws {
        loops = try EventLoopGroup(count: 1, name: "admin-test")
    }

    func service(_ checks: [ReadinessCheck] = []) -> AdminService {
        var configuration = AdminService.Configuration()
        configuration.address = SocketAddress(.loopbackV4, port: 0)
        configuration.maxConnections = 4
        return AdminService(
            configuration: configuration, loop: loops.loops[0], metrics: metrics, checks: checks,
            logger: Logger(label: "test", sink: SilentLogSink()))
    }

    /// The status and the body of the answer to a request of one line.
    func get(_ path: String, from service: AdminService, method: String = "GET") async throws -> (
        status: String, body: String
    ) {
        let address = try #require(service.localAddress)
        let loop = loops.loops[0]
        let request = Array("\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8)
        let task = Task(executorPreference: loop) {
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(10))
            try await stream.send(request)
            while try await stream.receive() {}
            let text = String(decoding: stream.inbound.take(stream.inbound.count), as: UTF8.self)
            stream.close()
            return text
        }
        let text = try await task.value
        let status = text.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        let body = text.firstRange(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? ""
        return (status, body)
    }

    @Test func showsMetrics() async throws {
        let service = service()
        try service.start()
        metrics.counter("skerry_test_total", "A test.").increment(by: 7)
        let answer = try await get("/metrics", from: service)
        #expect(answer.status == "200")
        #expect(answer.body.contains("# TYPE skerry_test_total counter\nskerry_test_total 7\n"))
        for name in [
            "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds",
            "process_cpu_seconds_total",
        ] {
            let value = answer.body.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            #expect((value?.split(separator: " ").last.flatMap { Double($0) } ?? 0) > 0, "\(name)")
        }
        service.close()
    }

    @Test func saysWhyItIsNotReady() async throws {
        let isLinked = Flag()
        let service = service([
            ReadinessCheck("disk") { nil },
            ReadinessCheck("uplink") { isLinked.value ? nil : "the central is away" },
        ])
        try service.start()
        #expect(try await get("/healthz", from: service).status == "200")
        let answer = try await get("/readyz", from: service)
        #expect(answer.status == "503")
        let reasons = try JSONValue.parse(answer.body)["reasons"]
        #expect(reasons == [["check": "uplink", "reason": "the central is away"]])
        isLinked.value = true
        #expect(try await get("/readyz", from: service).status == "200")
        service.close()
    }

    @Test func answersWhileOthersDrain() async throws {
        let service = service()
        try service.start()
        let shutdown = Shutdown()
        shutdown.request()
        try await service.run(until: shutdown)
        #expect(try await get("/readyz", from: service).body.contains("shutting down"))
        #expect(try await get("/metrics", from: service).status == "200")
        service.close()
    }

    @Test func changesNothing() async throws {
        let service = service()
        try service.start()
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            #expect(try await get("/readyz", from: service, method: method).status == "405")
        }
        #expect(try await get("/", from: service).status == "404")
        service.close()
    }

    @Test func tellsWhenItsAddressIsTaken() async throws {
        let first = service()
        try first.start()
        var configuration = AdminService.Configuration()
        configuration.address = try #require(first.localAddress)
        let second = AdminService(
            configuration: configuration, loop: loops.loops[0], metrics: MetricsRegistry(), checks: [],
            logger: Logger(label: "test", sink: SilentLogSink()))
        #expect(throws: SystemError.self) { try second.start() }
        first.close()
    }
}

private final class Flag: Sendable {
    private let state = Mutex(false)
    var value: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
