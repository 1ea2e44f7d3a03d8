import Base
import CAllocationCounter
import Runtime
import Testing

/// Counted, not timed: what the hot paths allocate.
@Suite(.timeLimit(.minutes(1))) struct AllocationTests {
    /// A datagram that goes back and forth between two sockets of one loop.
    private final class PingPong: @unchecked Sendable {  // used on one loop alone
        let loop: EventLoop
        let left: UDPSocket
        let right: UDPSocket
        var rounds = 0
        var before: UInt64 = 0

        init(on loop: EventLoop) throws {
            self.loop = loop
            left = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
            right = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
        }

        func run(warmUp: Int, rounds limit: Int, _ done: @escaping (UInt64) -> Void) throws {
            try right.start { [self] datagram, source in
                right.send(UnsafeRawBufferPointer(datagram), to: source)
            }
            try left.start { [self] datagram, source in
                rounds += 1
                if rounds == warmUp { before = skerry_allocations_on_this_thread() }
                if rounds == warmUp + limit {
                    let counted = skerry_allocations_on_this_thread() - before
                    left.close()
                    right.close()
                    return done(counted)
                }
                left.send(UnsafeRawBufferPointer(datagram), to: source)
            }
            [UInt8](repeating: 1, count: 172).withUnsafeBytes { _ = left.send($0, to: right.localAddress) }
        }
    }

    @Test func `a datagram in and out allocates nothing`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let pingPong = try PingPong(on: loop)
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
