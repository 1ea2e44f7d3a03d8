import Base
import Runtime
import STUN
import Synchronization
import TURNTesting
import Testing

@testable import RelayService

/// TCP allocations (RFC 6062).
@Suite(.timeLimit(.minutes(1))) struct RelayConnectionTests {
    /// A peer that speaks TCP: listens, and connects.
    private final class Peer: @unchecked Sendable {
        let endpoint: TCPEndpoint
        private let accepted = AsyncStream<ByteStream>.makeStream()

        init(on loop: EventLoop) throws {
            endpoint = try TCPEndpoint(bind: SocketAddress(.loopbackV4, port: 0), on: loop, backlog: 8)
            try endpoint.start { [accepted] connection, _ in
                if let stream = try? ByteStream(adopting: connection, on: loop) { accepted.continuation.yield(stream) }
            }
        }

        var address: SocketAddress { endpoint.localAddress }

        func next() async -> ByteStream? {
            var iterator = accepted.stream.makeAsyncIterator()
            return await iterator.next()
        }

        func connect(to address: SocketAddress) async -> ByteStream? {
            await withCheckedContinuation { (continuation: CheckedContinuation<ByteStream?, Never>) in
                endpoint.connect(to: address, timeout: .seconds(5)) { [loop = endpoint.loop] connection in
                    switch consume connection {
                    case .some(let made): continuation.resume(returning: try? ByteStream(adopting: made, on: loop))
                    case .none: continuation.resume(returning: nil)
                    }
                }
            }
        }
    }

    private func withClient(
        loopCount: Int = 2,
        _ body: @escaping @Sendable (RunningRelay, EventLoop, StreamTURNClient) async throws -> Void
    ) async throws {
        try await withRelay(loopCount: loopCount) { relay in
            let clients = try EventLoopGroup(count: 1, name: "clients")
            defer { clients.shutdown() }
            let loop = clients.loops[0]
            try await Task(executorPreference: loop) {
                let control = try await self.connect(relay, loop)
                defer { control.close() }
                try await body(relay, loop, control)
            }.value
        }
    }

    private func connect(_ relay: RunningRelay, _ loop: EventLoop) async throws -> StreamTURNClient {
        try await StreamTURNClient(relay.service.listenAddresses[0], relay.credentials, on: loop)
    }

    private func connectionID(_ message: [UInt8]) throws -> UInt32 {
        try #require(try STUNMessage(message.span.bytes).number(.connectionID))
    }

    private func askForConnection(_ control: StreamTURNClient, to peer: SocketAddress) async throws -> UInt32 {
        try connectionID(try await control.request(.connect) { $0.append(.xorPeerAddress, xorAddress: peer) })
    }

    private func bind(_ id: UInt32, _ relay: RunningRelay, _ loop: EventLoop) async throws -> StreamTURNClient {
        let data = try await connect(relay, loop)
        try await data.request(.connectionBind) { $0.append(.connectionID, number: id) }
        return data
    }

    private func read(_ count: Int, from stream: ByteStream) async throws -> [UInt8] {
        while stream.inbound.count < count { guard try await stream.receive() else { break } }
        return stream.inbound.take(min(count, stream.inbound.count))
    }

    /// Several, so that data connections come to either loop.
    @Test(arguments: 0..<4)
    func `bytes pass both ways, those that came before the connection was bound as well`(_: Int) async throws {
        try await withClient { relay, loop, control in
            let peer = try Peer(on: loop)
            defer { peer.endpoint.close() }
            let relayed = try await control.allocate(6)
            let id = try await self.askForConnection(control, to: peer.address)
            let far = try #require(await peer.next())
            #expect(far.remoteAddress == relayed)
            try await far.send(Array("early".utf8))
            let data = try await self.bind(id, relay, loop)
            #expect(try await self.read(5, from: data.stream) == Array("early".utf8))

            // More than all the queues between them hold, so that each side has to wait for the other.
            let bulk = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 1000) }
            let sending = loop.spawn {
                try? await data.stream.send(bulk)
                await data.stream.finish()
            }
            var received: [UInt8] = []
            while try await far.receive() { received += far.inbound.take(far.inbound.count) }
            await sending.value
            #expect(received == bulk)
            // The client has ended its side; the peer's is still open.
            try await far.send(Array("late".utf8))
            far.close()
            #expect(try await self.read(5, from: data.stream) == Array("late".utf8))
            data.close()
        }
    }

    @Test func `a peer's connection is announced where it is permitted, and closed where it is not`() async throws {
        try await withClient { relay, loop, control in
            let peer = try Peer(on: loop)
            defer { peer.endpoint.close() }
            let relayed = try await control.allocate(6)
            let refused = try #require(await peer.connect(to: relayed))
            #expect(try await refused.receive() == false)
            refused.close()

            try await control.request(.createPermission) { $0.append(.xorPeerAddress, xorAddress: peer.address) }
            let other = try Peer(on: loop)
            defer { other.endpoint.close() }
            let far = try #require(await other.connect(to: relayed))
            let attempt = try #require(try await control.relayed())
            let announced = try STUNMessage(attempt.span.bytes)
            #expect(announced.type == STUNMessageType(.connectionAttempt, .indication))
            #expect(announced.xorAddress(.xorPeerAddress) == other.address)
            let data = try await self.bind(try self.connectionID(attempt), relay, loop)
            try await data.stream.send(Array("hello".utf8))
            #expect(try await self.read(5, from: far) == Array("hello".utf8))
            far.close()
            #expect(try await data.stream.receive() == false)
            data.close()
        }
    }

    @Test func `errors of RFC 6062`() async throws {
        try await withClient { relay, loop, control in
            func refusal(_ client: StreamTURNClient, _ method: STUNMethod, _ body: (inout STUNWriter) -> Void) async
                -> UInt16?
            {
                do {
                    _ = try await client.request(method, body)
                    return nil
                } catch {
                    return (error as? StreamTURNClient.Refused)?.code?.rawValue
                }
            }
            func refusal(_ client: StreamTURNClient, connectingTo peer: SocketAddress) async -> UInt16? {
                await refusal(client, .connect) { $0.append(.xorPeerAddress, xorAddress: peer) }
            }
            let peer = try Peer(on: loop)
            #expect(await refusal(control, connectingTo: peer.address) == 437)
            #expect(
                await refusal(control, .allocate) {
                    $0.append(.requestedTransport, leadingByte: 6)
                    $0.append(.evenPort, bytes: [0])
                } == 400)
            _ = try await control.allocate(6)
            #expect(await refusal(control, .connect) { _ in } == 400)
            #expect(await refusal(control, connectingTo: relay.service.listenAddresses[0]) == 403)
            let far = SocketAddress(IPAddress(v4: 0x0A00_0001), port: 80)
            #expect(await refusal(control, connectingTo: far) == 403)
            let id = try await self.askForConnection(control, to: peer.address)
            #expect(await refusal(control, connectingTo: peer.address) == 446)
            peer.endpoint.close()
            let nobody = try Peer(on: loop)
            nobody.endpoint.close()
            #expect(await refusal(control, connectingTo: nobody.address) == 447)
            #expect(
                await refusal(control, .channelBind) {
                    $0.append(channelNumber: 0x4000)
                    $0.append(.xorPeerAddress, xorAddress: peer.address)
                } == 400)

            let data = try await self.connect(relay, loop)
            #expect(await refusal(data, .connectionBind) { _ in } == 400)
            #expect(await refusal(data, .connectionBind) { $0.append(.connectionID, number: id ^ 1) } == 400)
            // The control connection is none for data.
            #expect(await refusal(control, .connectionBind) { $0.append(.connectionID, number: id) } == 400)
            #expect(await refusal(data, .connectionBind) { $0.append(.connectionID, number: id) } == nil)
            let second = try await self.connect(relay, loop)
            #expect(await refusal(second, .connectionBind) { $0.append(.connectionID, number: id) } == 400)
            data.close()
            second.close()
        }
    }

    @Test func `connections end with the allocation, wherever they are`() async throws {
        try await withClient { relay, loop, control in
            let peers = [try Peer(on: loop), try Peer(on: loop)]
            defer { for peer in peers { peer.endpoint.close() } }
            _ = try await control.allocate(6)
            let first = try await self.askForConnection(control, to: peers[0].address)
            _ = try await self.askForConnection(control, to: peers[1].address)
            let far = (try #require(await peers[0].next()), try #require(await peers[1].next()))
            let data = try await self.bind(first, relay, loop)
            control.close()
            #expect(try await data.stream.receive() == false)
            #expect(try await far.0.receive() == false)
            #expect(try await far.1.receive() == false)
            while relay.service.allocationCount > 0 { try await loop.sleep(for: .milliseconds(2)) }
            data.close()
            far.0.close()
            far.1.close()
        }
    }

    @Test func `two TCP allocations reach each other`() async throws {
        try await withClient { relay, loop, alice in
            let bob = try await self.connect(relay, loop)
            defer { bob.close() }
            let (a, b) = (try await alice.allocate(6), try await bob.allocate(6))
            try await bob.request(.createPermission) { $0.append(.xorPeerAddress, xorAddress: a) }
            let id = try await self.askForConnection(alice, to: b)
            let attempt = try #require(try await bob.relayed())
            let near = try await self.bind(id, relay, loop)
            let far = try await self.bind(try self.connectionID(attempt), relay, loop)
            try await near.stream.send(Array("through both".utf8))
            #expect(try await self.read(12, from: far.stream) == Array("through both".utf8))
            near.close()
            far.close()
        }
    }

    @Test func `a connection to which an allocation moves carries no bytes of a peer`() async throws {
        try await withClient(loopCount: 2) { relay, loop, control in
            let peer = try Peer(on: loop)
            _ = try await control.allocate(6)
            let id = try await self.askForConnection(control, to: peer.address)
            let carried = try #require(await peer.next())
            let credentials = try relay.credentials
            let mobile = try BlockingTURNClient(
                server: relay.service.listenAddresses[0], username: credentials.username,
                password: credentials.credential)
            var ticket: [UInt8] = []
            try mobile.perform(.allocate) {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.mobilityTicket, bytes: [])
            } read: {
                ticket = $0.value(.mobilityTicket) ?? []
            }
            let friend = try LoopbackSocket()
            try mobile.bindChannel(0x4000, to: friend.localAddress)
            // Half of these come to the loop that does not have the allocation.
            for number in 0..<8 as Range<UInt8> {
                let data = try await self.connect(relay, loop)
                let moved = try await data.request(.refresh) { $0.append(.mobilityTicket, bytes: ticket) }
                ticket = try #require(try STUNMessage(moved.span.bytes).value(.mobilityTicket))
                let binding = TransactionID.random()
                try await data.stream.send(
                    StreamTURNClient.channelData(0x4000, [number])
                        + data.written(.connectionBind, binding) { $0.append(.connectionID, number: id) })
                let answer = try #require(try await data.relayed())
                #expect(try STUNMessage(answer.span.bytes).errorCode == .badRequest)
                #expect(friend.receive() == [number])
                data.close()
            }
            carried.close()
            peer.endpoint.close()
        }
    }

    @Test func `bandwidth counts over connections, which wait for it`() async throws {
        try await withRelay({ $0.maxBytesPerSecondPerUser = 1_000_000 }) { relay in
            let clients = try EventLoopGroup(count: 1, name: "clients")
            defer { clients.shutdown() }
            let loop = clients.loops[0]
            try await Task(executorPreference: loop) {
                let control = try await self.connect(relay, loop)
                let peer = try Peer(on: loop)
                _ = try await control.allocate(6)
                let id = try await self.askForConnection(control, to: peer.address)
                let data = try await self.bind(id, relay, loop)
                let carried = try #require(await peer.next())
                let began = MonotonicClock.now()
                async let sent: Void = carried.send([UInt8](repeating: 7, count: 465_536))
                #expect(try await self.read(465_536, from: data.stream).count == 465_536)
                try await sent
                // All but the first 64 KiB at a million bytes a second.
                #expect(MonotonicClock.now() - began >= .milliseconds(390))
                for stream in [carried, data.stream, control.stream] { stream.close() }
                peer.endpoint.close()
            }.value
        }
    }

    @Test func `where they are not allowed there are no TCP allocations`() async throws {
        try await withRelay({ $0.allowPeerConnections = false }) { relay in
            let clients = try EventLoopGroup(count: 1, name: "clients")
            defer { clients.shutdown() }
            let loop = clients.loops[0]
            try await Task(executorPreference: loop) {
                let control = try await self.connect(relay, loop)
                await #expect(throws: StreamTURNClient.Refused(code: .unsupportedTransport)) {
                    _ = try await control.allocate(6)
                }
                control.close()
            }.value
        }
    }
}
