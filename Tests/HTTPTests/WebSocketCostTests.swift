import Base
import CAllocationCounter
import Glibc
import HTTP
import Runtime
import Synchronization
import Testing

/// Counted, not timed: what messages and idle WebSockets cost. Not in sanitizer builds, where both are others.
@Suite(.timeLimit(.minutes(2)), .enabled(if: !skerry_is_sanitized())) struct WebSocketCostTests {
    /// What the loop's thread had allocated each time that a message was sent back.
    private final class Probe: Sendable {
        private let counts = Mutex<[UInt64]>([])

        init() { counts.withLock { $0.reserveCapacity(10_000) } }

        func note() { counts.withLock { $0.append(skerry_allocations_on_this_thread()) } }

        /// From one message to the next; the median, as a timer comes in between now and then.
        var typical: UInt64 {
            counts.withLock { counts in
                let warm = counts.dropFirst(100)
                return zip(warm.dropFirst(), warm).map { $0 - $1 }.sorted()[warm.count / 2]
            }
        }

        var mean: Double {
            counts.withLock { counts in
                let warm = counts.dropFirst(100)
                return Double(warm[warm.endIndex - 1] - warm[warm.startIndex]) / Double(warm.count - 1)
            }
        }
    }

    /// Unoptimised code allocates a closure's context wherever it makes one.
    #if DEBUG
        private static let closures: UInt64 = 20
    #else
        private static let closures: UInt64 = 0
    #endif

    private func routes(_ probe: Probe) -> (inout HTTPRoutes) -> Void {
        { routes in
            routes.on("GET", "/echo") { exchange, _ in
                try await exchange.upgradeToWebSocket(subprotocol: nil, maxMessageBytes: 1_000_000) { webSocket in
                    while let message = try await webSocket.receive() {
                        switch message {
                        case .text(let text): try await webSocket.send(text: text)
                        case .binary(let bytes): try await webSocket.send(binary: bytes)
                        }
                        probe.note()
                    }
                }
            }
        }
    }

    /// Coming, the payload: as a string or an array. Going, the frame. A string of 15 bytes needs no allocation.
    @Test(arguments: [(0x81, 15, 1), (0x81, 100, 2), (0x82, 100, 2), (0x82, 10_000, 2)] as [(UInt8, Int, UInt64)])
    func `a message costs its payload's allocation and its frame's`(
        _ opcode: UInt8, _ size: Int, _ allocations: UInt64
    ) async throws {
        let probe = Probe()
        try await TestServer.run(routes: routes(probe)) { server in
            let client = try BlockingWebSocket(server.address)
            defer { client.close() }
            for _ in 0..<1000 { try client.exchange(opcode, size) }
        }
        #expect(probe.typical <= allocations + Self.closures)
    }

    /// Messages that arrive together leave together: one frame's allocation, and its growing, is that of all.
    @Test func `messages of one turn share a frame's allocation`() async throws {
        let probe = Probe()
        try await TestServer.run(routes: routes(probe)) { server in
            let client = try BlockingWebSocket(server.address)
            defer { client.close() }
            for _ in 0..<100 { try client.exchange(0x81, 100, times: 10) }
        }
        #expect(probe.mean < 1.8 + Double(Self.closures))
    }

    @Test func `an idle WebSocket takes 4 KiB`() async throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        try await TestServer.run(routes: routes(Probe())) { server in
            var clients: [BlockingWebSocket] = []
            clients.reserveCapacity(3000)
            defer { for client in clients { client.close() } }
            // What the first ones bring into memory is no connection's.
            for _ in 0..<1000 { clients.append(try BlockingWebSocket(server.address)) }
            let before = skerry_heap_bytes()
            for _ in 0..<2000 {
                let client = try BlockingWebSocket(server.address)
                try client.exchange(0x82, 1000)
                clients.append(client)
            }
            let each = (Int(skerry_heap_bytes()) - Int(before)) / 2000
            #if DEBUG
                // Unoptimised tasks keep far more over a wait.
                #expect(each <= 12_288)
            #else
                #expect(each <= 4096)
            #endif
        }
    }
}

/// A client that blocks its thread, and allocates nothing that lasts.
private struct BlockingWebSocket {
    private let descriptor: Int32

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
        let request = Array(
            ("GET /echo HTTP/1.1\r\nHost: edge.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").utf8)
        try send(request)
        var head: [UInt8] = []
        while head.suffix(4) != [13, 10, 13, 10] { head += try receive(1) }
        guard head.starts(with: "HTTP/1.1 101 ".utf8) else { throw SystemError("upgrade", EPROTO) }
    }

    func close() { Glibc.close(descriptor) }

    /// Sends frames in one write, and reads what comes back for all of them.
    func exchange(_ opcode: UInt8, _ size: Int, times: Int = 1) throws {
        let length = size < 126 ? [UInt8(size)] : [126, UInt8(size >> 8), UInt8(size & 0xFF)]
        let frame = [opcode, length[0] | 0x80] + length.dropFirst() + [UInt8](repeating: 0, count: 4 + size)
        try send((0..<times).flatMap { _ in frame })
        _ = try receive(times * (1 + length.count + size))
    }

    private func send(_ bytes: [UInt8]) throws {
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw SystemError("write") }
    }

    private func receive(_ wanted: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: wanted)
        let count = recv(descriptor, &bytes, wanted, Int32(MSG_WAITALL))
        guard count == wanted else { throw SystemError("recv") }
        return bytes
    }
}
