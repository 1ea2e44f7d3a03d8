import Base
import CShims
import Glibc
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct DatagramTests {
    /// Sockets of one test; used on one loop alone.
    private final class Scene: @unchecked Sendable {
        let loop: EventLoop
        private(set) var sockets: [UDPSocket] = []

        init(_ loop: EventLoop) { self.loop = loop }

        func socket(_ ip: IPAddress = .loopbackV4, bufferBytes: Int? = 4 << 20) throws -> UDPSocket {
            let socket = try UDPSocket(bind: SocketAddress(ip, port: 0), on: loop, bufferBytes: bufferBytes)
            sockets.append(socket)
            return socket
        }

        /// Runs the body while a batch is received, which is more than one datagram.
        func whileReceiving(_ body: @escaping () -> Void) throws {
            let starter = try socket()
            try starter.start { datagram, _, _ in
                if datagram.count == 0 { body() }
            }
            starter.send(UnsafeRawBufferPointer(start: nil, count: 0), to: starter.localAddress)
            _ = [UInt8(1)].withUnsafeBytes { starter.send($0, to: starter.localAddress) }
        }

        func close() { for socket in sockets { socket.close() } }
    }

    /// Runs the body on a loop until it calls its last argument.
    private func run<Value: Sendable>(
        _ body: @escaping @Sendable (Scene, @escaping @Sendable (Value) -> Void) throws -> Void
    ) async throws -> Value {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
            loop.execute {
                let scene = Scene(loop)
                do {
                    try body(scene) { value in
                        // After the batch that it may be called in.
                        loop.execute {
                            scene.close()
                            continuation.resume(returning: .success(value))
                        }
                    }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        group.shutdown()
        return try result.get()
    }

    private static func payload(_ number: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
    }

    /// Sizes in the order that they are sent in; what comes at one end of a message and begins another is among them.
    private static let sizes =
        Array(repeating: 172, count: 70) + [100, 100, 100, 40, 100, 100, 0, 0, 1, 1, 1472, 1472, 1473, 3000, 5]
        + [8000, 172, 172, 171, 172] + Array(repeating: 1400, count: 50)

    @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
    func `what is sent while a batch is received arrives in order, with room on both sides`(ip: IPAddress) async throws
    {
        let figures: [UInt64] = try await run { scene, done in
            let (sender, sink) = (try scene.socket(ip), try scene.socket(ip))
            nonisolated(unsafe) var next = 0
            try sink.start { datagram, source, local in
                #expect(source == sender.localAddress)
                #expect(local == ip)
                #expect(Array(datagram) == Self.payload(next, Self.sizes[next]), "datagram \(next)")
                // The receiver may write there, and does so before it goes on to the next.
                let (head, tail) = (UDPSocket.headroom, UDPSocket.tailroom)
                let start = datagram.baseAddress! - head
                UnsafeMutableRawBufferPointer(start: start, count: head + datagram.count + tail)
                    .initializeMemory(as: UInt8.self, repeating: 0xEE)
                next += 1
                if next == Self.sizes.count {
                    done([sender.statistics.sendCalls, sink.statistics.receiveCalls, sender.statistics.sent])
                }
            }
            try scene.whileReceiving {
                for (number, size) in Self.sizes.enumerated() {
                    #expect(Self.payload(number, size).withUnsafeBytes { sender.send($0, to: sink.localAddress) })
                }
            }
        }
        // By far fewer than one for each: the 70 are two messages, the 50 two.
        #expect(figures[0] <= 16)
        #expect(figures[1] <= 10)
        #expect(figures[2] == UInt64(Self.sizes.count))
    }

    @Test func `datagrams to several places by several sockets keep their order`() async throws {
        let numbers: [[Int]] = try await run { scene, done in
            let senders = try (0..<2).map { _ in try scene.socket() }
            let sinks = try (0..<3).map { _ in try scene.socket() }
            nonisolated(unsafe) var numbers = [[Int]](repeating: [], count: 3)
            nonisolated(unsafe) var count = 0
            for (index, sink) in sinks.enumerated() {
                try sink.start { datagram, source, _ in
                    let sender = senders[0].localAddress == source ? 0 : 1000
                    numbers[index].append(sender + Int(datagram.loadUnaligned(as: UInt16.self)))
                    count += 1
                    if count == 600 { done(numbers) }
                }
            }
            try scene.whileReceiving {
                for number in 0..<100 {
                    for sender in senders {
                        for sink in sinks {
                            var number = UInt16(number)
                            withUnsafeBytes(of: &number) { _ = sender.send($0, to: sink.localAddress) }
                        }
                    }
                }
            }
        }
        for list in numbers {
            #expect(list.filter { $0 < 1000 } == Array(0..<100))
            #expect(list.filter { $0 >= 1000 } == Array(1000..<1100))
        }
    }

    @Test(arguments: [IPAddress.loopbackV4, .anyV4])
    func `a burst of 32 costs two system calls`(ip: IPAddress) async throws {
        let calls: [UInt64] = try await run { scene, done in
            let server = try scene.socket(ip)
            try server.start { datagram, source, local in
                server.send(UnsafeRawBufferPointer(datagram), to: source, from: local)
            }
            // Not merged on the way in: they come from a socket that sends them one by one, before the loop looks.
            let client = try scene.socket()
            nonisolated(unsafe) var arrived = 0
            try client.start { _, source, _ in
                #expect(source == SocketAddress(.loopbackV4, port: server.localAddress.port))
                arrived += 1
                guard arrived == 32 else { return }
                // The server's call has returned to it when the loop gets to this.
                scene.loop.execute { done([server.statistics.receiveCalls, server.statistics.sendCalls]) }
            }
            for _ in 0..<32 {
                let address = SocketAddress(.loopbackV4, port: server.localAddress.port)
                #expect(Self.payload(1, 172).withUnsafeBytes { client.send($0, to: address) })
            }
        }
        #expect(calls == [1, 1])
    }

    @Test func `single datagrams cost a system call each way`() async throws {
        let rounds = 500
        let calls: [UInt64] = try await run { scene, done in
            let (server, client) = (try scene.socket(), try scene.socket())
            try server.start { datagram, source, _ in server.send(UnsafeRawBufferPointer(datagram), to: source) }
            nonisolated(unsafe) var arrived = 0
            try client.start { datagram, source, _ in
                arrived += 1
                guard arrived == rounds else {
                    client.send(UnsafeRawBufferPointer(datagram), to: source)
                    return
                }
                done([server.statistics.receiveCalls, server.statistics.sendCalls])
            }
            #expect(Self.payload(1, 172).withUnsafeBytes { client.send($0, to: server.localAddress) })
        }
        #expect(calls == [UInt64(rounds), UInt64(rounds)])
    }

    @Test func `an error in the middle of a batch loses one datagram`() async throws {
        let drops: [UInt64] = try await run { scene, done in
            let (sender, sink) = (try scene.socket(), try scene.socket())
            nonisolated(unsafe) var arrived: [UInt8] = []
            try sink.start { datagram, _, _ in
                arrived.append(datagram[0])
                guard arrived.count == 6 else { return }
                #expect(arrived == [0, 1, 3, 4, 6, 8])
                done([sender.statistics.sent] + DatagramDrop.allCases.map { sender.statistics.dropped($0) })
            }
            try scene.whileReceiving {
                for number in 0..<9 {
                    let destination =
                        switch number {
                        case 2, 7: SocketAddress(.loopbackV4, port: 0)  // EINVAL
                        case 5: SocketAddress(IPAddress(v4: .max), port: 9)  // EACCES: nobody has allowed broadcasts
                        default: sink.localAddress
                        }
                    _ = [UInt8(number), 0].withUnsafeBytes { sender.send($0, to: destination) }
                }
            }
        }
        #expect(drops == [6, 0, 0, 0, 0, 1, 2])
    }

    /// The sockets may be closed while datagrams for them, and theirs to others, wait.
    @Test func `sockets that are closed in the middle of a batch have sent what they sent, and receive no more`()
        async throws
    {
        let figures: [Int] = try await run { scene, done in
            let (closing, other, sink) = (try scene.socket(), try scene.socket(), try scene.socket())
            nonisolated(unsafe) var received = 0
            nonisolated(unsafe) var ofOther = 0
            nonisolated(unsafe) var arrived: [UInt8] = []
            try sink.start { datagram, _, _ in
                arrived.append(datagram[0])
                if arrived.count == 6 { done([received, ofOther] + arrived.map(Int.init)) }
            }
            try other.start { _, _, _ in ofOther += 1 }
            try closing.start { datagram, _, _ in
                received += 1
                for sender in [closing, other] {
                    #expect([UInt8(received)].withUnsafeBytes { sender.send($0, to: sink.localAddress) })
                }
                guard received == 3 else { return }
                other.close()
                closing.close()
                for sender in [closing, other] {
                    #expect(!sender.send(UnsafeRawBufferPointer(datagram), to: sink.localAddress))
                }
                // The numbers of the descriptors are taken again at once, by others.
                for _ in 0..<2 { _ = try? scene.socket().start { _, _, _ in Issue.record("nobody sends here") } }
            }
            // One message of many to the one, then to the other, which are told of in one turn of the loop.
            try scene.whileReceiving {
                for destination in [closing, other] {
                    for number in 0..<40 as Range<UInt8> {
                        _ = [number, 0].withUnsafeBytes { sink.send($0, to: destination.localAddress) }
                    }
                }
            }
        }
        #expect(figures == [3, 0, 1, 1, 2, 2, 3, 3])
    }

    @Test func `where the kernel refuses a message of several, its datagrams go out one by one`() async throws {
        let figures: [UInt64] = try await run { scene, done in
            let (sender, sink) = (try scene.socket(), try scene.socket())
            // Without checksums there is no UDP_SEGMENT.
            setOption(sender.descriptor, SOL_SOCKET, SO_NO_CHECK, 1)
            nonisolated(unsafe) var next = 0
            try sink.start { datagram, _, _ in
                #expect(Array(datagram) == Self.payload(next, next == 19 ? 9 : 172))
                next += 1
                let statistics = sender.statistics
                if next == 20 { done([statistics.refusedMessages, statistics.sent, statistics.dropped]) }
            }
            try scene.whileReceiving {
                for number in 0..<20 {
                    _ = Self.payload(number, number == 19 ? 9 : 172).withUnsafeBytes {
                        sender.send($0, to: sink.localAddress)
                    }
                }
            }
        }
        #expect(figures == [1, 20, 0])
    }

    @Test(arguments: [false, true])
    func `a socket with every address answers from the one that was asked`(inBatch: Bool) async throws {
        for (any, asked) in [(IPAddress.anyV4, IPAddress(v4: 0x7F00_0002)), (.anyV6, .loopbackV6)] {
            let source: SocketAddress = try await run { scene, done in
                let server = try scene.socket(any)
                try server.start { datagram, source, local in
                    #expect(local == asked)
                    let bytes = Array(datagram)
                    let answer = { @Sendable in
                        _ = bytes.withUnsafeBytes { server.send($0, to: source, from: local) }
                    }
                    if inBatch { answer() } else { scene.loop.execute(answer) }
                }
                let client = try scene.socket(asked.family == .v4 ? .loopbackV4 : .loopbackV6)
                try client.start { _, source, _ in done(source) }
                let address = SocketAddress(asked, port: server.localAddress.port)
                #expect([UInt8(1)].withUnsafeBytes { client.send($0, to: address) })
            }
            #expect(source.ip == asked)
        }
    }

    @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
    func `what the network says is told once, and harms no other peer`(ip: IPAddress) async throws {
        let (errors, arrived): ([DatagramError], Int) = try await run { scene, done in
            let (sender, sink) = (try scene.socket(ip), try scene.socket(ip))
            let gone = try scene.socket(ip)
            gone.close()
            nonisolated(unsafe) var errors: [DatagramError] = []
            nonisolated(unsafe) var arrived = 0
            let check = {
                guard errors.count == 20, arrived == 20 else { return }
                // If it was told again, or in vain, the loop would turn at once, and again and again.
                let iterations = scene.loop.counters.iterations.value
                scene.loop.schedule(after: .milliseconds(30)) {
                    #expect(scene.loop.counters.iterations.value - iterations < 10)
                    done((errors, arrived))
                }
            }
            try sender.start(onError: {
                errors.append($0)
                check()
            }) { _, _, _ in }
            try sink.start { _, _, _ in
                arrived += 1
                check()
            }
            let mixed = {
                for _ in 0..<10 {
                    for destination in [gone.localAddress, sink.localAddress] {
                        #expect([UInt8(1)].withUnsafeBytes { sender.send($0, to: destination) })
                    }
                }
            }
            mixed()
            try scene.whileReceiving { mixed() }
        }
        #expect(arrived == 20)
        for error in errors {
            #expect(error.destination.ip == ip)
            #expect(error.code == ECONNREFUSED)
            #expect(error.mtu == nil)
            // Port unreachable, of RFC 792 and of RFC 4443.
            #expect(error.icmp == (ip.family == .v4 ? .init(type: 3, code: 3) : .init(type: 1, code: 4)))
        }
    }

    @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
    func `whether a datagram may be fragmented is its own affair`(ip: IPAddress) async throws {
        let (ways, calls): ([Int32], UInt64) = try await run { scene, done in
            let (sender, sink) = (try scene.socket(ip), try scene.socket(ip))
            nonisolated(unsafe) var ways: [Int32] = []
            nonisolated(unsafe) var arrived: [UInt8] = []
            try sink.start { datagram, _, _ in
                arrived.append(datagram[0])
                guard arrived.count == 6 else { return }
                #expect(arrived == [0, 1, 2, 3, 4, 5])
                scene.loop.execute { done((ways, sender.statistics.sendCalls)) }
            }
            try scene.whileReceiving {
                for (number, dontFragment) in [false, false, true, true, false, false].enumerated() {
                    _ = [UInt8(number), 0].withUnsafeBytes {
                        sender.send($0, to: sink.localAddress, dontFragment: dontFragment)
                    }
                    ways.append(
                        ip.family == .v4
                            ? option(sender.descriptor, Int32(IPPROTO_IP), IP_MTU_DISCOVER)
                            : option(sender.descriptor, Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER))
                }
            }
        }
        // Allowed in IPv4 is IP_PMTUDISC_OMIT, in IPv6 IPV6_PMTUDISC_WANT; forbidden is _PROBE.
        let allowed: Int32 = ip.family == .v4 ? 5 : 1
        #expect(ways == [allowed, allowed, 3, 3, allowed, allowed])
        #expect(calls == 3)
    }

    /// IPv6 has datagrams that are larger than the loopback interface takes.
    @Test func `what the interface does not take whole, and may not be fragmented, comes back once`() async throws {
        let (errors, arrived): ([DatagramError], [Int]) = try await run { scene, done in
            let (sender, sink) = (try scene.socket(.loopbackV6), try scene.socket(.loopbackV6))
            nonisolated(unsafe) var errors: [DatagramError] = []
            nonisolated(unsafe) var arrived: [Int] = []
            try sender.start(onError: {
                #expect($0.destination == sink.localAddress)
                errors.append($0)
            }) { _, _, _ in }
            try sink.start { datagram, _, _ in
                arrived.append(datagram.count)
                // The error has been told of before, or in this turn of the loop.
                if arrived.count == 3 { scene.loop.execute { done((errors, arrived)) } }
            }
            for (count, dontFragment) in [(65_500, false), (65_500, true), (65_480, true), (100, false)] {
                let isSent = Self.payload(0, count).withUnsafeBytes {
                    sender.send($0, to: sink.localAddress, dontFragment: dontFragment)
                }
                #expect(isSent == !(dontFragment && count == 65_500))
            }
            #expect(errors.isEmpty && sender.statistics.dropped(.tooLarge) == 1)
        }
        #expect(arrived == [65_500, 65_480, 100])
        #expect(errors.count == 1 && errors.first?.icmp == .init(type: 2, code: 0) && errors.first?.code == EMSGSIZE)
        #expect(errors.first?.mtu == 65_536)
    }

    @Test func `queues that overflow or are smaller than asked for are told of`() async throws {
        let overflow: UInt32 = try await run { scene, done in
            let (sender, sink) = (try scene.socket(), try scene.socket(bufferBytes: 8 << 10))
            try sink.start { _, _, _ in }
            #expect(sink.grantedBufferBytes == 8 << 10)
            let greedy = try UDPSocket(
                bind: SocketAddress(.loopbackV4, port: 0), on: scene.loop, bufferBytes: 8 << 10,
                sendBufferBytes: 1 << 30)
            #expect(greedy.grantedBufferBytes == 8 << 10)
            greedy.close()
            #expect(try scene.socket(bufferBytes: 1 << 30).grantedBufferBytes < 1 << 30)
            for _ in 0..<200 { _ = Self.payload(0, 1000).withUnsafeBytes { sender.send($0, to: sink.localAddress) } }
            done(sink.overflowCount)
        }
        #expect(overflow > 100 && overflow < 200)
    }
}
