import Base
import Glibc
import Synchronization
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct TCPEndpointTests {
    private func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Void) async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        defer { group.shutdown() }
        try await Task(executorPreference: group.loops[0]) { try await body(group.loops[0]) }.value
    }

    private func endpoint(_ loop: EventLoop) throws -> TCPEndpoint {
        try TCPEndpoint(bind: SocketAddress(.loopbackV4, port: 0), on: loop, backlog: 8)
    }

    private func connect(_ endpoint: TCPEndpoint, to peer: SocketAddress, _ timeout: Duration = .seconds(5)) async
        -> ByteStream?
    {
        let descriptor = await withCheckedContinuation { (continuation: CheckedContinuation<Int32, Never>) in
            endpoint.connect(to: peer, timeout: timeout) { connection in
                continuation.resume(returning: connection?.take() ?? -1)
            }
        }
        return descriptor < 0 ? nil : try? ByteStream(adopting: descriptor, on: endpoint.loop)
    }

    @Test func `one address accepts and connects; what came before it was taken is there`() async throws {
        try await onLoop { loop in
            let (one, other) = (try endpoint(loop), try endpoint(loop))
            defer {
                one.close()
                other.close()
            }
            let accepted = AsyncStream<(Int32, SocketAddress)>.makeStream()
            try other.start { connection, peer in accepted.continuation.yield((connection.take(), peer)) }
            try one.start { _, _ in }
            let stream = try #require(await connect(one, to: other.localAddress))
            #expect(stream.localAddress == one.localAddress && stream.remoteAddress == other.localAddress)
            try await stream.send(Array("early".utf8))
            await stream.finish()
            var iterator = accepted.stream.makeAsyncIterator()
            let (descriptor, peer) = try #require(await iterator.next())
            #expect(peer == one.localAddress)
            let taken = try ByteStream(adopting: descriptor, on: loop)
            while try await taken.receive() {}
            #expect(taken.inbound.take(taken.inbound.count) == Array("early".utf8))
            taken.close()
            stream.close()
        }
    }

    @Test func `a peer that refuses, a second connection to the same peer and a closed endpoint give nothing`()
        async throws
    {
        try await onLoop { loop in
            let (one, other) = (try endpoint(loop), try endpoint(loop))
            let nobody = try endpoint(loop)
            nobody.close()
            #expect(await connect(one, to: nobody.localAddress) == nil)
            let first = try #require(await connect(one, to: other.localAddress))
            #expect(await connect(one, to: other.localAddress) == nil)
            first.close()
            other.close()
            one.close()
            #expect(await connect(one, to: other.localAddress) == nil)
        }
    }

    @Test func `the end of the endpoint ends what is being connected`() async throws {
        try await onLoop { loop in
            let one = try endpoint(loop)
            // Nobody answers there: the listener's queue is full.
            let full = try TCPEndpoint(bind: SocketAddress(.loopbackV4, port: 0), on: loop, backlog: 0)
            defer { full.close() }
            let waiting = Mutex(0)
            var streams: [ByteStream] = []
            for _ in 0..<4 {
                if let stream = await connect(try endpoint(loop), to: full.localAddress, .milliseconds(50)) {
                    streams.append(stream)
                }
            }
            #expect(streams.count < 4)
            one.connect(to: full.localAddress, timeout: .seconds(30)) { connection in
                let made = connection?.take()
                #expect(made == nil)
                waiting.withLock { $0 += 1 }
            }
            #expect(waiting.withLock { $0 } == 0)
            one.close()
            #expect(waiting.withLock { $0 } == 1)
            for stream in streams { stream.close() }
        }
    }
}
