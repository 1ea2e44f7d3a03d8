import Base
import STUN
import TURNTesting
import Testing

@testable import RelayService

/// Clients that move, through real sockets: the kernel gives their new ports to any of the event loops.
@Suite(.timeLimit(.minutes(1))) struct MobilityTests {
    @Test func anAllocationFollowsItsClientFromLoopToLoop() async throws {
        try await withRelay(loopCount: 3) { relay in
            let credentials = try relay.credentials
            let client = try BlockingTURNClient(
                server: relay.service.listenAddresses[0], username: credentials.username,
                password: credentials.credential)
            var ticket: [UInt8] = []
            try client.perform(.allocate) {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.mobilityTicket, bytes: [])
            } read: {
                ticket = $0.value(.mobilityTicket) ?? []
            }
            let peer = try LoopbackSocket()
            try client.bindChannel(0x4001, to: peer.localAddress)
            try client.socket.send(channelData(0))
            let relayed = try #require(peer.source(timeoutMs: 5000))
            try peer.connect(to: relayed)
            #expect(client.socket.receiveRelayed(timeoutMs: 0) == nil)

            // With three loops and a dozen ports, nearly every run has moves of both kinds.
            for number in UInt8(1)...12 {
                let former = client.socket
                try client.move()
                try client.perform(.refresh) {
                    $0.append(.mobilityTicket, bytes: ticket)
                } read: {
                    ticket = $0.value(.mobilityTicket) ?? []
                }
                // Until the new path is used, the old one is the client's.
                try peer.send([0xAA])
                #expect(former.receiveRelayed() == [0x40, 0x01, 0, 1, 0xAA])
                try client.socket.send(channelData(number))
                #expect(peer.receive() == [number])
                try peer.send([number, number])
                #expect(client.socket.receiveRelayed() == [0x40, 0x01, 0, 2, number, number])
            }
            #expect(relay.service.allocationCount == 1)
            try client.perform(.refresh) { $0.append(.lifetime, number: 0) }
            #expect(relay.service.allocationCount == 0)
        }
    }

    @Test func aTicketIsItsOwnersAlone() async throws {
        try await withRelay(loopCount: 3) { relay in
            let credentials = try relay.credentials
            let server = relay.service.listenAddresses[0]
            let client = try BlockingTURNClient(
                server: server, username: credentials.username, password: credentials.credential)
            var ticket: [UInt8] = []
            try client.perform(.allocate) {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.mobilityTicket, bytes: [])
            } read: {
                ticket = $0.value(.mobilityTicket) ?? []
            }
            let stranger = try #require(UserAddress(tenant: .default, user: "mallory"))
            let theirs = relay.service.iceServers(for: stranger, now: WallTime(seconds: 4_000_000_000))
            for _ in 0..<6 {
                let thief = try BlockingTURNClient(
                    server: server, username: theirs.username, password: theirs.credential)
                #expect {
                    try thief.perform(.refresh) { $0.append(.mobilityTicket, bytes: ticket) }
                } throws: {
                    ($0 as? BlockingTURNClient.Refused)?.code == .badRequest
                }
            }
            // Its allocation is over: the ticket is good, and finds nothing, on whatever loop.
            try client.perform(.refresh) { $0.append(.lifetime, number: 0) }
            for _ in 0..<6 {
                try client.move()
                #expect {
                    try client.perform(.refresh) { $0.append(.mobilityTicket, bytes: ticket) }
                } throws: {
                    ($0 as? BlockingTURNClient.Refused)?.code == .allocationMismatch
                }
            }
        }
    }

    private func channelData(_ byte: UInt8) -> [UInt8] { [0x40, 0x01, 0, 1, byte] }
}
