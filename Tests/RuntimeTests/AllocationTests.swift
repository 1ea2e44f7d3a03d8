import Base
import CAllocationCounter
import Runtime
import Testing

/// Counted, not timed: what the hot paths allocate.
@Suite(.timeLimit(.minutes(1))) struct AllocationTests {
    /// Datagrams that go back and forth between two sockets of one loop, so many at a time.
    private final class PingPong: @unchecked Sendable {  // used on one loop alone
        let loop: EventLoop
        let left: UDPSocket
        let right: UDPSocket
        let burst: Int
        var arrived = 0
        var rounds = 0
        var before: UInt64 = 0

        init(on loop: EventLoop, burst: Int, right address: IPAddress) throws {
            self.loop = loop
            self.burst = burst
            left = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
            right = try UDPSocket(bind: SocketAddress(address, port: 0), on: loop)
        }

        func run(warmUp: Int, rounds limit: Int, _ done: @escaping (UInt64) -> Void) throws {
            try right.start { [self] datagram, source, local in
                right.send(UnsafeRawBufferPointer(datagram), to: source, from: local)
            }
            let server = SocketAddress(.loopbackV4, port: right.localAddress.port)
            try left.start { [self] datagram, source, _ in
                arrived += 1
                guard arrived % burst == 0 else { return }
                rounds += 1
                if rounds == warmUp { before = skerry_allocations_on_this_thread() }
                if rounds == warmUp + limit {
                    let counted = skerry_allocations_on_this_thread() - before
                    left.close()
                    right.close()
                    return done(counted)
                }
                for _ in 0..<burst { left.send(UnsafeRawBufferPointer(datagram), to: server) }
            }
            [UInt8](repeating: 1, count: 172).withUnsafeBytes {
                for _ in 0..<burst { left.send($0, to: server) }
            }
        }
    }

    @Test(arguments: [1, 20], [IPAddress.loopbackV4, .anyV4])
    func `a datagram in and out allocates nothing`(burst: Int, address: IPAddress) async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let pingPong = try PingPong(on: loop, burst: burst, right: address)
        let counted: UInt64 = await withCheckedContinuation { continuation in
            loop.execute {
                do {
                    try pingPong.run(warmUp: 100, rounds: 2000) { continuation.resume(returning: $0) }
                } catch {
                    continuation.resume(returning: .max)
                }
            }
        }
        #expect(counted == 0)
        group.shutdown()
    }

    @Test func `the counter counts`() {
        let before = skerry_allocations_on_this_thread()
        withExtendedLifetime([UInt8](repeating: 1, count: 10_000)) {}
        withExtendedLifetime(AllocationTests.Probe()) {}
        #expect(skerry_allocations_on_this_thread() > before)
    }

    private final class Probe {}
}
