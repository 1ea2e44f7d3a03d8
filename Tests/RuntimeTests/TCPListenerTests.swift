import Base
import Glibc
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct TCPListenerTests {
    /// In a process of its own, since the limit is the whole process's.
    @Test func `without descriptors the loop does not spin, what stands goes on, and accepting resumes`() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit(rlim_cur: 200, rlim_max: 200)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            let group = try EventLoopGroup(count: 1, name: "test")
            let counters = { group.loops[0].counters.acceptPauses.value }
            let listener = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: group.loops) {
                stream in
                stream.loop.spawn { await sendBack(stream) }
            }
            let clients = try (0..<8).map { _ in try BlockingClient() }
            for client in clients[..<4] {
                client.connect(to: listener.localAddress)
                try #require(client.isAnswered())
            }
            let fillers = fillTable()
            for client in clients[4...] { client.connect(to: listener.localAddress) }
            while counters() == 0 { await Task.yield() }

            let iterations = group.loops[0].counters.iterations.value
            usleep(500_000)
            #expect(group.loops[0].counters.iterations.value - iterations < 50)
            for client in clients[..<4] { #expect(client.isAnswered()) }

            // One that ends makes room for one that waits: here its own descriptor is taken again, so that only the server's is.
            var delays: [Duration] = []
            for index in 0..<3 {
                let timers = group.loops[0].counters.timers.value
                let began = MonotonicClock.now()
                clients[index].finish()
                try #require(clients[4 + index].isAnswered())
                delays.append(MonotonicClock.now() - began)
                // Nothing has gathered over the pauses: the listener is told once, beside its own timer.
                #expect(group.loops[0].counters.timers.value - timers <= 3)
            }
            // Sooner than the clock would have it, but for the worst of luck.
            #expect(try #require(delays.min()) < .milliseconds(60))

            for filler in fillers { close(filler) }
            try #require(clients[7].isAnswered())
            for client in clients[3...] { #expect(client.isAnswered()) }
            exit(0)
        }
    }

    @Test func `connections beyond the backlog wait with the client`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let gate = BlockingGate()
        let (opened, ended) = (Counter(), Counter())
        let listener = try TCPListener.listen(
            on: SocketAddress(.loopbackV4, port: 0), loops: group.loops, backlog: 4
        ) { stream in
            opened.increment()
            stream.loop.spawn {
                await sendBack(stream)
                ended.increment()
            }
        }
        group.loops[0].execute { gate.wait() }
        await gate.entered()
        let clients = try (0..<16).map { _ in try BlockingClient(flags: SOCK_NONBLOCK) }
        for client in clients { client.connect(to: listener.localAddress) }
        let isThere = clients.filter { $0.isConnected() }.count
        // The kernel takes one more than it is told.
        #expect(isThere == 5)
        gate.open()
        listener.close()
        await group.loops[0].spawn {}.value
        for client in clients { client.finish() }
        while ended.value < opened.value { await Task.yield() }
        group.shutdown()
    }
}

private func sendBack(_ stream: ByteStream) async {
    while let isMore = try? await stream.receive(), isMore {
        let bytes = stream.inbound.withBytes { Array($0) }
        stream.inbound.consume(bytes.count)
        try? await stream.send(bytes)
    }
    stream.close()
}

/// Takes every descriptor that is left.
private func fillTable() -> [Int32] {
    var taken: [Int32] = []
    while case let descriptor = dup(0), descriptor >= 0 { taken.append(descriptor) }
    return taken
}

private final class BlockingClient: Sendable {
    private let descriptor: Int32

    init(flags: __socket_type = SOCK_CLOEXEC) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | flags.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("socket") }
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func connect(to address: SocketAddress) { _ = address.withSockaddr { Glibc.connect(descriptor, $0, $1) } }

    /// Whether the kernel has completed the connection by now.
    func isConnected() -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return Glibc.poll(&poll, 1, 100) == 1
    }

    func isAnswered() -> Bool {
        var byte: UInt8 = 42
        guard send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL)) == 1 else { return false }
        return recv(descriptor, &byte, 1, 0) == 1
    }

    /// Ends the connection but keeps the descriptor.
    func finish() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}
