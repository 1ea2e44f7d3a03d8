import Base
import Glibc
import Synchronization
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct UDPSocketMoveTests {
    /// Of which no other test takes a port that has come free.
    private static let ownAddress = IPAddress(v4: 0x7F07_0707)

    /// Numbered datagrams arrive at a socket that goes to and fro between two loops all the time.
    @Test func `a socket that moves between loops loses nothing`() async throws {
        let total = 2_000
        let group = try EventLoopGroup(count: 2, name: "test")
        let port = Mutex<UInt16?>(nil)
        let numbers: [Int] = await withCheckedContinuation { continuation in
            let first = group.loops[0]
            first.execute {
                do {
                    let socket = try UDPSocket(
                        bind: SocketAddress(Self.ownAddress, port: 0), on: first, bufferBytes: 4 << 20)
                    port.withLock { $0 = socket.localAddress.port }
                    let traveller = Traveller(socket, between: group.loops, total: total) {
                        continuation.resume(returning: $0)
                    }
                    try traveller.receive()
                    try Self.send(total, to: socket.localAddress, from: first)
                } catch {
                    Issue.record(error)
                    continuation.resume(returning: [])
                }
            }
        }
        #expect(numbers.count > total && numbers.suffix(total) == ArraySlice(0..<total))
        // Before them stands how often it moved: many times within the stream.
        #expect(numbers[0] > 10)
        // Closed once, by the last owner.
        let address = SocketAddress(Self.ownAddress, port: try #require(port.withLock { $0 }))
        await group.loops[0].spawn {
            #expect(throws: Never.self) { try UDPSocket(bind: address, on: group.loops[0]).close() }
        }.value
        group.shutdown()
    }

    private static func send(_ total: Int, to address: SocketAddress, from loop: EventLoop) throws {
        let sender = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
        @Sendable func next(_ number: Int) {
            for number in number..<min(number + 10, total) {
                var word = UInt32(number)
                withUnsafeBytes(of: &word) { _ = sender.send($0, to: address) }
            }
            if number + 10 < total { loop.execute { next(number + 10) } } else { sender.close() }
        }
        next(0)
    }

    /// Used on one loop at a time, that of its socket.
    private final class Traveller: @unchecked Sendable {
        private var socket: UDPSocket
        private let loops: [EventLoop]
        private let total: Int
        private let done: @Sendable ([Int]) -> Void
        private var numbers: [Int] = []
        private var moves = 0
        private var isLeaving = false

        init(_ socket: UDPSocket, between loops: [EventLoop], total: Int, _ done: @escaping @Sendable ([Int]) -> Void) {
            self.socket = socket
            self.loops = loops
            self.total = total
            self.done = done
        }

        func receive() throws {
            try socket.start(onError: { _ in }) { [self] datagram, _, _ in
                numbers.append(Int(datagram.loadUnaligned(as: UInt32.self)))
                if numbers.count == total {
                    socket.loop.execute { [self] in
                        socket.close()
                        done([moves] + numbers)
                    }
                } else if !isLeaving {
                    isLeaving = true
                    socket.loop.execute { [self] in move() }
                }
            }
        }

        private func move() {
            isLeaving = false
            guard numbers.count < total else { return }
            moves += 1
            let next = loops[moves % loops.count]
            do {
                socket = try UDPSocket(adopting: socket.detach(), on: next)
                next.execute { [self] in
                    do { try receive() } catch { Issue.record(error) }
                }
            } catch {
                Issue.record(error)
            }
        }
    }

    @Test func `what nobody adopts is closed`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        await loop.spawn {
            do {
                let socket = try UDPSocket(bind: SocketAddress(Self.ownAddress, port: 0), on: loop)
                let address = socket.localAddress
                #expect(throws: SystemError.self) { try UDPSocket(bind: address, on: loop) }
                do { _ = socket.detach() }
                try UDPSocket(bind: address, on: loop).close()
                socket.close()
                #expect(!socket.send(UnsafeRawBufferPointer(start: nil, count: 0), to: address))
            } catch {
                Issue.record(error)
            }
        }.value
        group.shutdown()
    }
}
