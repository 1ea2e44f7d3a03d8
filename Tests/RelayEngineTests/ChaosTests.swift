import Base
import STUN
import Testing

@testable import RelayEngine

/// Whatever clients, peers and the clock do, in whatever order: the engine goes on, and loses count of nothing.
@Suite struct ChaosTests {
    private static let clients = (0..<4).map { SocketAddress("198.51.100.\(7 + $0):40000")! }
    private static let peers = ["9.9.9.9:5000", "[2a00:1450::9]:5000", "10.0.0.1:53", "8.8.4.4:50001"].map {
        SocketAddress($0)!
    }

    @Test(arguments: UInt64(1)...20)
    func anyOrder(seed: UInt64) throws {
        let harness = RelayHarness(relayedV6: IPAddress("2a00:1450::1")) {
            $0.unauthenticatedAnswersPerSecond = 1_000_000
            $0.unauthenticatedAnswersBurst = 1_000_000
        }
        var random = SplitMix(state: seed)
        let users = ["alice", "bob"].map { RelayHarness.Client(username: "2009999999:default:\($0)") }
        var tickets: [[UInt8]] = []
        var codes: Set<UInt16> = []
        for _ in 0..<1500 {
            let user = users[Int.random(in: 0..<2, using: &random)]
            user.address = Self.clients.randomElement(using: &random) ?? RelayHarness.client
            user.nonce = nil
            let peer = Self.peers.randomElement(using: &random) ?? RelayHarness.peer
            let answer = act(harness, user, peer, tickets.randomElement(using: &random), &random)
            if let answer {
                if let code = answer.code { codes.insert(code.rawValue) }
                if let ticket = answer.read({ $0.value(.mobilityTicket) }) { tickets.append(ticket) }
            }
            let opened = (0..<4).reduce(UInt64(0)) { $0 + harness.engine.statistics.allocationsOpened[$1] }
            let closed = harness.engine.statistics.allocationsClosed.reduce(0, +)
            #expect(opened - closed == UInt64(harness.engine.allocationCount))
        }
        _ = harness.engine.closeAll(now: harness.now)
        #expect(harness.engine.allocationCount == 0)
        #expect(codes.isSuperset(of: [400, 403, 437, 441]))
    }

    /// One thing that may happen; what was answered, where it was a request.
    private func act(
        _ harness: RelayHarness, _ user: RelayHarness.Client, _ peer: SocketAddress, _ ticket: [UInt8]?,
        _ random: inout SplitMix
    ) -> RelayHarness.Answer? {
        let number = UInt16.random(in: 0x4000...0x4003, using: &random)
        let family: UInt8? = [1, 2, nil].randomElement(using: &random) ?? nil
        let lifetime: UInt32? = [0, 600, 3600, nil].randomElement(using: &random) ?? nil
        switch Int.random(in: 0..<14, using: &random) {
        case 0, 1, 2:
            let (isMobile, isDual) = (Bool.random(using: &random), Bool.random(using: &random))
            return harness.ask(.allocate, as: user) {
                $0.append(.requestedTransport, leadingByte: 17)
                if isMobile { $0.append(.mobilityTicket, bytes: []) }
                if isDual {
                    $0.append(.additionalAddressFamily, leadingByte: 2)
                } else if let family {
                    $0.append(.requestedAddressFamily, leadingByte: family)
                }
            }
        case 3, 4, 5:
            return harness.ask(.refresh, as: user) {
                if let lifetime { $0.append(.lifetime, number: lifetime) }
                if let family { $0.append(.requestedAddressFamily, leadingByte: family) }
                if let ticket { $0.append(.mobilityTicket, bytes: ticket) }
            }
        case 6: return harness.permit(peer, as: user)
        case 7: return harness.bind(number, to: peer, as: user)
        case 8: _ = harness.send([1, 2, 3], to: peer, from: user.address)
        case 9: _ = harness.sendChannelData([1, 2, 3], number, from: user.address)
        case 10:
            for session in harness.engine.sessions(limit: 10, now: harness.now, where: { _ in true }) {
                _ = harness.engine.receiveFromPeer(session.id, from: peer, payloadCount: 3, now: harness.now)
            }
        case 11:
            let seconds = Int64.random(in: 0...400, using: &random)
            harness.now = harness.now + .seconds(seconds)
            harness.wallTime = harness.wallTime + .seconds(seconds)
        case 12: _ = harness.engine.expire(now: harness.now)
        default: _ = harness.engine.disconnect(RelayHarness.tuple(user.address), now: harness.now)
        }
        return nil
    }
}
