import Base
import RelayEngine
import STUN

extension Requirement {
    /// Mobility with Traversal Using Relays around NAT (TURN).
    static let rfc8016: [Requirement] = [
        Requirement("RFC 8016 3.1.2", "an Allocate with an empty MOBILITY-TICKET gets a ticket") {
            $0.allocateMobile().count >= 16
        },
        Requirement("RFC 8016 3.1.2", "an Allocate without one gets none") {
            $0.allocate() == .success && !$0.has(.mobilityTicket)
        },
        Requirement("RFC 8016 3.1.2", "a MOBILITY-TICKET that is not empty 400") {
            $0.allocate { $0.append(.mobilityTicket, bytes: [1]) } == 400
        },
        Requirement("RFC 8016 3.1.2", "where mobility is forbidden 405") { bench in
            bench.configure { $0.allowsMobility = false }
            return bench.allocate { $0.append(.mobilityTicket, bytes: []) } == 405 && bench.isAuthentic
        },
        Requirement("RFC 8016 3.2.2", "a Refresh with the ticket from another address keeps the allocation") { bench in
            let ticket = bench.allocateMobile()
            return bench.move(with: ticket) == .success && bench.lifetime == 600
                && bench.harness.engine.allocationCount == 1
        },
        Requirement("RFC 8016 3.2.2", "and gets a new ticket") { bench in
            let ticket = bench.allocateMobile()
            return bench.move(with: ticket) == .success && bench.has(.mobilityTicket)
        },
        Requirement("RFC 8016 3.2.2", "without the ticket another address has no allocation: 437") { bench in
            _ = bench.allocateMobile()
            bench.leave()
            return bench.refresh() == 437
        },
        Requirement("RFC 8016 3.2.2", "a ticket that we have not given 400") { bench in
            var ticket = bench.allocateMobile()
            ticket[3] ^= 1
            return bench.move(with: ticket) == 400
        },
        Requirement("RFC 8016 3.2.2", "a ticket of an allocation that is gone 437") { bench in
            let ticket = bench.allocateMobile()
            _ = bench.refresh(lifetime: 0)
            return bench.move(with: ticket) == 437
        },
        Requirement("RFC 8016 3.2.2", "another user's ticket moves nothing") { bench in
            let ticket = bench.allocateMobile()
            bench.leave()
            _ = bench.signed(.refresh)
            let other = RelayHarness.Client(username: "2000000600:default:bob", nonce: bench.client.nonce)
            let bytes = RelayHarness.message(
                STUNMessageType(.refresh, .request), bench.harness.newTransaction(), as: other
            ) { $0.append(.mobilityTicket, bytes: ticket) }
            let reply = bench.receive(bytes)
            bench.client.address = RelayHarness.client
            bench.client.nonce = nil
            return [400, 441].contains(reply) && bench.refresh() == .success
        },
        Requirement("RFC 8016 3.2.2", "a Refresh with the ticket is authenticated as any other") { bench in
            let ticket = bench.allocateMobile()
            bench.leave()
            return bench.receive(bench.unsigned(.refresh) { $0.append(.mobilityTicket, bytes: ticket) }) == 401
        },
        Requirement("RFC 8016 3.2.2", "the old path is served until the client is heard on the new one") { bench in
            let ticket = bench.allocateMobile()
            _ = bench.bind(0x4000, to: RelayHarness.peer)
            guard bench.move(with: ticket) == .success,
                bench.hears() == .channelData(0x4000, to: RelayHarness.tuple(RelayHarness.client)),
                bench.sendsOnChannel(0x4000)
            else { return false }
            return bench.hears() == .channelData(0x4000, to: RelayHarness.tuple(ConformanceBench.elsewhere))
        },
        Requirement("RFC 8016 3.2.2", "then the old 5-tuple is nobody's") { bench in
            let ticket = bench.allocateMobile()
            _ = bench.bind(0x4000, to: RelayHarness.peer)
            guard bench.move(with: ticket) == .success, bench.sendsOnChannel(0x4000) else { return false }
            bench.client.address = RelayHarness.client
            return !bench.sendsOnChannel(0x4000)
        },
        Requirement("RFC 8016 3.2.2", "permissions and channels move along") { bench in
            let ticket = bench.allocateMobile()
            _ = bench.bind(0x4000, to: RelayHarness.peer)
            return bench.move(with: ticket) == .success && bench.sendsOnChannel(0x4000) && bench.sends()
        },
        Requirement("RFC 8016 3.2.2", "the relayed transport address stays") { bench in
            let ticket = bench.allocateMobile()
            let relayed = bench.relayed
            guard bench.move(with: ticket) == .success, bench.permit(RelayHarness.peer) == .success else {
                return false
            }
            let sessions = bench.harness.engine.sessions(limit: 2, now: bench.harness.now) { _ in true }
            return relayed.count == 1 && sessions.count == 1
        },
    ]
}

extension ConformanceBench {
    /// An allocation that may move; the client's ticket.
    fileprivate func allocateMobile() -> [UInt8] {
        guard allocate({ $0.append(.mobilityTicket, bytes: []) }) == .success else { return [] }
        return answer { $0.value(.mobilityTicket) } ?? []
    }

    /// The client is at another address, where it has no nonce.
    fileprivate func leave() {
        client.address = Self.elsewhere
        client.nonce = nil
    }

    fileprivate func move(with ticket: [UInt8]) -> Reply {
        leave()
        return refresh { $0.append(.mobilityTicket, bytes: ticket) }
    }
}
