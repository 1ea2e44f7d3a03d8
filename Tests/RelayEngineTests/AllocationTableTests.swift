import Base
import RelayEngine
import STUN
import Testing

@Suite struct AllocationTableTests {
    /// More allocations than the table begins with: each is found where it was moved to, and goes alone.
    @Test func everyAllocationStaysItsOwn() throws {
        let harness = RelayHarness { $0.unauthenticatedAnswersBurst = 10_000 }
        let clients = (0..<100).map { index in
            let client = RelayHarness.Client()
            client.address = SocketAddress(RelayHarness.client.ip, port: UInt16(20_000 + index))
            return client
        }
        for (index, client) in clients.enumerated() {
            #expect(try #require(harness.allocate(as: client)).isSuccess)
            let peer = SocketAddress(RelayHarness.peer.ip, port: UInt16(30_000 + index))
            let answer = harness.ask(.channelBind, as: client) {
                $0.append(channelNumber: 0x4000)
                $0.append(.xorPeerAddress, xorAddress: peer)
            }
            #expect(try #require(answer).isSuccess)
        }
        func relayedPort(_ client: RelayHarness.Client) -> UInt16? {
            let message: [UInt8] = [0x40, 0x00, 0, 1, 9]
            let action = harness.engine.receive(
                message.span.bytes, from: RelayHarness.tuple(client.address), now: harness.now)
            guard case .relay(_, let peer, _, _) = action else { return nil }
            return peer.port
        }
        #expect(clients.map(relayedPort) == (0..<100).map { 30_000 + $0 })

        for client in clients[..<50] {
            let answer = harness.ask(.refresh, as: client) { $0.append(.lifetime, number: 0) }
            #expect(try #require(answer).isSuccess)
        }
        #expect(clients.map(relayedPort) == Array(repeating: nil, count: 50) + (50..<100).map { 30_000 + $0 })
        #expect(harness.engine.allocationCount == 50)
        #expect(harness.engine.closeAll(now: harness.now).count == 50)
    }
}
