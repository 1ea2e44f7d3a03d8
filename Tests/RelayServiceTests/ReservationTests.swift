import Base
import STUN
import TURNTesting
import Testing

@testable import RelayService

/// EVEN-PORT and RESERVATION-TOKEN, with the sockets that they keep.
@Suite(.timeLimit(.minutes(1))) struct ReservationTests {
    @Test func theNextHigherPortWaitsForItsToken() async throws {
        try await withRelay(loopCount: 3) { relay in
            let credentials = try relay.credentials
            func client() throws -> BlockingTURNClient {
                try BlockingTURNClient(
                    server: relay.service.listenAddresses[0], username: credentials.username,
                    password: credentials.credential)
            }
            // Each second allocation is made by a client of its own, on any loop.
            for _ in 0..<6 {
                let (first, second, third) = (try client(), try client(), try client())
                var (port, token) = (UInt16(0), [UInt8]())
                try first.perform(.allocate) {
                    $0.append(.requestedTransport, leadingByte: 17)
                    $0.append(.evenPort, bytes: [0x80])
                } read: {
                    port = $0.xorAddress(.xorRelayedAddress)?.port ?? 1
                    token = $0.value(.reservationToken) ?? []
                }
                #expect(port % 2 == 0)
                #expect(token.count == 8)
                var next: SocketAddress?
                try second.perform(.allocate) {
                    $0.append(.requestedTransport, leadingByte: 17)
                    $0.append(.reservationToken, bytes: token)
                } read: {
                    next = $0.xorAddress(.xorRelayedAddress)
                }
                #expect(next?.port == port + 1)
                // It is the port of that allocation now, and works.
                let peer = try LoopbackSocket()
                try second.bindChannel(0x4000, to: peer.localAddress)
                try peer.connect(to: try #require(next))
                try peer.send([9])
                #expect(second.socket.receiveRelayed() == [0x40, 0, 0, 1, 9])
                // A token is good once.
                #expect {
                    try third.perform(.allocate) {
                        $0.append(.requestedTransport, leadingByte: 17)
                        $0.append(.reservationToken, bytes: token)
                    }
                } throws: {
                    ($0 as? BlockingTURNClient.Refused)?.code == .insufficientCapacity
                }
            }
        }
    }
}
