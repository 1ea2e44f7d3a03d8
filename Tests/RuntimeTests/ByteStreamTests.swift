import Base
import Glibc
import Synchronization
import Testing

@testable import Runtime

/// A listener on loopback whose connections run the given body.
func withServer<Result: Sendable>(
    loops: Int = 1, serve: @escaping @Sendable (ByteStream) async -> Void,
    body: @escaping @Sendable (EventLoop, SocketAddress) async throws -> Result
) async throws -> Result {
    let group = try EventLoopGroup(count: loops, name: "test")
    let listener = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: group.loops) { stream in
        stream.loop.spawn {
            await serve(stream)
            stream.close()
        }
    }
    let address = listener.localAddress
    let loop = group.loops[0]
    let result = try await Task(executorPreference: loop) { try await body(loop, address) }.value
    listener.close()
    await loop.spawn {}.value
    group.shutdown()
    return result
}

@Sendable func echo(_ stream: ByteStream) async {
    do {
        while try await stream.receive() { try await stream.send(stream.inbound.take(stream.inbound.count)) }
        await stream.finish()
    } catch {}
}

@Suite(.timeLimit(.minutes(1))) struct ByteStreamTests {
    /// In a process of its own, since what is wrong would end it. epoll refuses /dev/null as it does when its memory or watches run out.
    @Test func `a descriptor that cannot be watched is an error, and is closed`() async {
        await #expect(processExitsWith: .success) {
            let loop = try EventLoopGroup(count: 1, name: "test").loops[0]
            let isRefused = await Task(executorPreference: loop) {
                let descriptor = open("/dev/null", O_RDWR)
                do {
                    try ByteStream(adopting: descriptor, on: loop).close()
                    return false
                } catch {
                    return fcntl(descriptor, F_GETFD) < 0
                }
            }.value
            exit(isRefused ? 0 : 1)
        }
    }

    @Test func `bytes come back, through back-pressure and half-close`() async throws {
        let total = 5_000_000
        let received = try await withServer(loops: 2, serve: echo) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            let sending = loop.spawn {
                let block = [UInt8](repeating: 7, count: 250_000)
                for _ in 0..<(total / block.count) { try? await stream.send(block) }
                await stream.finish()
            }
            var count = 0
            while try await stream.receive() {
                count += stream.inbound.count
                stream.inbound.consume(stream.inbound.count)
            }
            await sending.value
            stream.close()
            return count
        }
        #expect(received == total)
    }

    @Test func `pieces arrive as one, in order`() async throws {
        let text = try await withServer(serve: echo) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            try await stream.send(pieces: [
                Array("ab".utf8), [], Array("cd".utf8), Array(repeating: 101, count: 3_000_000),
            ])
            while stream.inbound.count < 3_000_004, try await stream.receive() {}
            let bytes = stream.inbound.take(stream.inbound.count)
            stream.close()
            return String(decoding: bytes.prefix(6), as: UTF8.self) + "\(bytes.count)"
        }
        #expect(text == "abcdee3000004")
    }

    @Test func `closing wakes a waiting reader`() async throws {
        let error = try await withServer(serve: { _ = try? await $0.receive() }) { loop, address -> StreamError? in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            loop.schedule(after: .milliseconds(10)) { stream.close(.timedOut) }
            do {
                _ = try await stream.receive()
                return nil
            } catch {
                return error as? StreamError
            }
        }
        #expect(error == .timedOut)
    }

    @Test func `no readiness is lost between a call that would block and the wait for it`() async throws {
        let exchanges = try await withServer(loops: 2, serve: echo) { loop, address in
            // Many connections at once, a byte at a time: each round is a chance for the event to come in between.
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask(executorPreference: loop) {
                        let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
                        defer { stream.close() }
                        for _ in 0..<500 {
                            try await stream.send([1])
                            guard try await stream.receive() else { return 0 }
                            stream.inbound.consume(1)
                        }
                        return 500
                    }
                }
                return try await group.reduce(0, +)
            }
        }
        #expect(exchanges == 10_000)
    }

    @Test func `what has arrived can be read after sending has failed`() async throws {
        let text = try await withServer(serve: { stream in
            try? await stream.send(Array("refused".utf8))
            await stream.finish()
            // Closed with bytes unread: the peer's next sends are answered by a reset.
            _ = try? await stream.receive()
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            defer { stream.close() }
            while stream.inbound.count < 7, try await stream.receive() {}
            do {
                while true { try await stream.send([UInt8](repeating: 0, count: 100_000)) }
            } catch {}
            return String(decoding: stream.inbound.take(7), as: UTF8.self)
        }
        #expect(text == "refused")
    }

    @Test func `a refused connection says so`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let outcome = await Task(executorPreference: loop) {
            do {
                _ = try await ByteStream.connect(
                    to: SocketAddress(.loopbackV4, port: 1), on: loop, timeout: .seconds(5))
                return nil as StreamError?
            } catch { return error as? StreamError }
        }.value
        #expect(outcome == .failed(SystemError("connect", ECONNREFUSED)))
        group.shutdown()
    }

    @Test func `a file is sent from the offset`() async throws {
        let path = "/tmp/skerry-sendfile-\(getpid())"
        try FileSystem.replace(path, with: Array("0123456789".utf8))
        defer { try? FileSystem.remove(path) }
        let text = try await withServer(serve: { stream in
            guard let file = try? File(path, .read) else { return }
            try? await stream.sendFile(file.descriptor, offset: 2, count: 5)
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            while try await stream.receive() {}
            let bytes = stream.inbound.take(stream.inbound.count)
            stream.close()
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(text == "23456")
    }

    @Test func `two listeners of different owners cannot share a port`() throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let first = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: group.loops) { $0.close() }
        #expect(throws: SystemError.self) {
            _ = try TCPListener.listen(on: first.localAddress, loops: group.loops) { $0.close() }
        }
        first.close()
        group.shutdown()
    }
}

@Suite(.timeLimit(.minutes(1))) struct UDPSocketTests {
    @Test func `datagrams arrive whole, with room in front and their source`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        for family in [IPAddress.loopbackV4, .loopbackV6] {
            let text: String = await withCheckedContinuation { done in
                loop.execute {
                    do {
                        let server = try UDPSocket(bind: SocketAddress(family, port: 0), on: loop)
                        let client = try UDPSocket(bind: SocketAddress(family, port: 0), on: loop)
                        try server.start { datagram, source, _ in
                            // A header in front, without moving the payload.
                            let start = datagram.baseAddress! - 4
                            start.storeBytes(of: 0x2121_2121, as: UInt32.self)
                            server.send(UnsafeRawBufferPointer(start: start, count: datagram.count + 4), to: source)
                        }
                        try client.start { datagram, source, _ in
                            let text = String(decoding: datagram, as: UTF8.self)
                            #expect(source == server.localAddress)
                            client.close()
                            server.close()
                            done.resume(returning: text)
                        }
                        #expect(Array("hello".utf8).withUnsafeBytes { client.send($0, to: server.localAddress) })
                    } catch {
                        done.resume(returning: "\(error)")
                    }
                }
            }
            #expect(text == "!!!!hello")
        }
        group.shutdown()
    }
}

@Suite(.timeLimit(.minutes(1))) struct ServiceGroupTests {
    @Test func `when one service is done, the others are asked to end`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let logger = Logger(label: "test", sink: SilentLogSink())
        try await ServiceGroup.run(
            [WaitingService(), ReturningService()], on: group.loops[0], drainTimeout: .seconds(5), logger: logger)
        group.shutdown()
    }

    @Test func `a service that fails ends the others, and its error is told`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let logger = Logger(label: "test", sink: SilentLogSink())
        await #expect(throws: EdgeError.self) {
            try await ServiceGroup.run(
                [WaitingService(), FailingService()], on: group.loops[0], drainTimeout: .seconds(5), logger: logger)
        }
        group.shutdown()
    }
}

private struct WaitingService: Service {
    func run(until shutdown: Shutdown) async throws { await shutdown.wait() }
}

private struct ReturningService: Service {
    func run(until shutdown: Shutdown) async throws {}
}

private struct FailingService: Service {
    func run(until shutdown: Shutdown) async throws { throw EdgeError(.io, "broken", side: .internal) }
}
