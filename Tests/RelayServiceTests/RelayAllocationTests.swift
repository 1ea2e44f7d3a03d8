import Base
import CAllocationCounter
import Glibc
import Runtime
import STUN
import TURNTesting
import Testing

@testable import RelayService

/// Counted, not timed: what a relayed packet allocates on the event loop's thread, sockets and system calls included.
@Suite(.serialized, .timeLimit(.minutes(1))) struct RelayAllocationTests {
    private static let packetCount = 1000

    /// Heap allocations of the loop's thread while the body runs. The least of a few passes: once a second the relay
    /// looks for what has expired, and that may fall into a pass.
    private func allocations(on loop: EventLoop, passes: Int = 4, _ body: () throws -> Void) throws -> UInt64 {
        let counter = try LoopCounter(loop)
        func least(_ body: () throws -> Void) throws -> UInt64 {
            try (0..<passes).reduce(.max) { least, _ in
                let before = counter.allocations()
                try body()
                return min(least, counter.allocations() - before)
            }
        }
        // Buffers reach their size.
        try body()
        let ofAsking = try least {}
        return try least(body) - ofAsking
    }

    /// Asks a loop for its count over a pipe: resuming a task would allocate there.
    private final class LoopCounter {
        private let loop: EventLoop
        private var ends: [Int32] = [0, 0]

        init(_ loop: EventLoop) throws {
            self.loop = loop
            guard pipe(&ends) == 0 else { throw EdgeError(.io, "pipe") }
        }

        deinit { for end in ends { close(end) } }

        func allocations() -> UInt64 {
            loop.execute { [end = ends[1]] in
                var count = skerry_allocations_on_this_thread()
                _ = write(end, &count, MemoryLayout.size(ofValue: count))
            }
            var count: UInt64 = 0
            return read(ends[0], &count, MemoryLayout.size(ofValue: count)) > 0 ? count : .max
        }
    }

    private func withFlow(
        _ body: (_ client: BlockingTURNClient, _ peer: LoopbackSocket, EventLoop) async throws -> Void
    ) async throws {
        try await withRelay(loopCount: 1) { relay in
            let credentials = try relay.credentials
            let client = try BlockingTURNClient(
                server: relay.service.listenAddresses[0], username: credentials.username,
                password: credentials.credential)
            let peer = try LoopbackSocket()
            try peer.connect(to: client.allocate())
            try client.createPermission(for: peer.localAddress)
            try await body(client, peer, relay.loops.loops[0])
        }
    }

    @Test func `channel data both ways allocates nothing`() async throws {
        try await withFlow { client, peer, loop in
            try client.bindChannel(0x4000, to: peer.localAddress)
            let payload = [UInt8](repeating: 7, count: 172)
            let message = [0x40, 0x00, 0, 172] + payload
            let counted = try allocations(on: loop) {
                for _ in 0..<Self.packetCount {
                    try client.socket.send(message)
                    #expect(peer.receive() == payload)
                    try peer.send(payload)
                    #expect(client.socket.receiveRelayed() == message)
                }
            }
            #expect(counted == 0)
        }
    }

    @Test func `Send and Data indications allocate nothing`() async throws {
        try await withFlow { client, peer, loop in
            let payload = [UInt8](repeating: 7, count: 171)
            let indication = [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
                var writer = STUNWriter(
                    into: UnsafeMutableRawBufferPointer(buffer), type: STUNMessageType(.send, .indication),
                    transactionID: .random())
                writer.append(.xorPeerAddress, xorAddress: peer.localAddress)
                writer.append(.data, bytes: payload)
                count = writer.finish()
            }
            let counted = try allocations(on: loop) {
                for _ in 0..<Self.packetCount {
                    try client.socket.send(indication)
                    #expect(peer.receive() == payload)
                    try peer.send(payload)
                    let answer = try #require(client.socket.receiveRelayed())
                    let message = try STUNMessage(answer.span.bytes)
                    #expect(message.type == STUNMessageType(.data, .indication))
                    #expect(message.value(.data) == payload)
                }
            }
            #expect(counted == 0)
        }
    }
}
