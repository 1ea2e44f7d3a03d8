import Base
import CAllocationCounter
import Glibc
import HTTP
import HTTPCodec
import Runtime
import Testing

/// Counted, not timed: what a request and an idle connection cost. In sanitizer builds nothing is counted.
@Suite(.timeLimit(.minutes(1))) struct HTTPCostTests {
    /// What one loop's thread had used each time that its handler ran.
    ///
    /// `@unchecked Sendable`: written on the loop of the one connection, read when the connection has had its answers.
    private final class Probe: @unchecked Sendable {
        private(set) var allocations: [UInt64] = []
        private(set) var systemCalls: [UInt64] = []

        init() {
            allocations.reserveCapacity(10_000)
            systemCalls.reserveCapacity(10_000)
        }

        func note() {
            allocations.append(skerry_allocations_on_this_thread())
            systemCalls.append(skerry_system_calls_on_this_thread())
        }

        /// Between one request and the next; the median, as a timer or the date comes in between now and then.
        static func typical(_ counts: [UInt64]) -> UInt64 {
            let warm = counts.dropFirst(100)
            return zip(warm.dropFirst(), warm).map { $0 - $1 }.sorted()[warm.count / 2]
        }
    }

    private static let request =
        "GET /media/an-id-of-some-length?and=query HTTP/1.1\r\nHost: edge.example:8480\r\nUser-Agent: test/1.0\r\n"
        + "Accept: */*\r\nAccept-Encoding: identity\r\n\r\n"

    /// Repeats a request on one connection, and returns what its handler's thread used from one to the next.
    private func cost(
        _ request: String = request, answerBytes: Int, _ handler: @escaping HTTPRoutes.Handler
    ) async throws -> (allocations: UInt64, systemCalls: UInt64) {
        let probe = Probe()
        try await TestServer.run { routes in
            routes.on("GET", "/media/an-id-of-some-length") { exchange, parameters in
                probe.note()
                try await handler(exchange, parameters)
            }
        } _: { server in
            let client = try BlockingClient(server.address)
            for _ in 0..<1000 { try client.ask(request, bodyBytes: answerBytes) }
        }
        return (Probe.typical(probe.allocations), Probe.typical(probe.systemCalls))
    }

    /// The bytes of the head with the places of its fields; the target, which is longer than 15 bytes; the exchange; the
    /// answer's fields.
    @Test(arguments: [5, 16 * 1024, 64 * 1024])
    func `a request costs four allocations and three system calls`(_ size: Int) async throws {
        let body = [UInt8](repeating: 1, count: size)
        let used = try await cost(answerBytes: size) { exchange, _ in
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "application/octet-stream"]), body: body)
        }
        // Code that is not optimised allocates wherever it is generic.
        #if !DEBUG
            #expect(used.allocations <= 4)
        #endif
        // The wait, the read, and the one send of head and body.
        #expect(used.systemCalls <= 3)
    }

    @Test(.enabled(if: !skerry_is_sanitized())) func `an idle connection takes 4 KiB`() async throws {
        try await TestServer.run { routes in
            routes.on("GET", "/media/an-id-of-some-length") { exchange, _ in
                try await exchange.respond(HTTPResponse(status: 200), body: [1, 2, 3])
            }
        } _: { server in
            var clients: [BlockingClient] = []
            func open(_ count: Int) throws {
                for _ in 0..<count {
                    let client = try BlockingClient(server.address)
                    try client.ask(Self.request, bodyBytes: 3)
                    client.dropBuffer()
                    clients.append(client)
                }
            }
            clients.reserveCapacity(600)
            // What the first ones bring into memory is no connection's.
            try open(200)
            let before = skerry_heap_bytes()
            try open(400)
            let each = (Int(skerry_heap_bytes()) - Int(before)) / 400
            #if DEBUG
                // Unoptimised tasks keep far more over a wait.
                #expect(each <= 12_288)
            #else
                #expect(each <= 4096)
            #endif
        }
    }
}

/// A client that blocks its thread, and so uses nothing of the server's.
private final class BlockingClient {
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 128 * 1024)

    init(_ address: SocketAddress) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = address.port.bigEndian
        target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, connected == 0 else { throw SystemError("connect") }
    }

    deinit { close(descriptor) }

    /// For one that asks no more.
    func dropBuffer() { buffer = [] }

    /// Sends a request and reads its answer, which has a body of so many bytes.
    func ask(_ request: String, bodyBytes: Int) throws {
        let bytes = Array(request.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw SystemError("write") }
        var received = 0
        var end = Int.max
        while received < end {
            let count = buffer.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + received, $0.count - received)
            }
            guard count > 0 else { throw SystemError("read") }
            received += count
            if end == .max, let head = buffer[..<received].firstRange(of: Array("\r\n\r\n".utf8)) {
                end = head.upperBound + bodyBytes
            }
        }
    }
}
