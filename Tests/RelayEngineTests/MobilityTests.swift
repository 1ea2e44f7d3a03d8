import Base
import STUN
import Testing

@testable import RelayEngine

@Suite struct MobilityTests {
    private static let elsewhere = SocketAddress("198.51.100.8:50000")!

    private func mobile(_ harness: RelayHarness, _ client: RelayHarness.Client) throws -> [UInt8] {
        let answer = try #require(
            harness.ask(.allocate, as: client) {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.mobilityTicket, bytes: [])
            })
        #expect(answer.isSuccess)
        return try #require(answer.read { $0.value(.mobilityTicket) })
    }

    private func refresh(
        _ harness: RelayHarness, _ client: RelayHarness.Client, _ ticket: [UInt8], id: TransactionID? = nil,
        lifetime: UInt32? = nil
    ) throws -> RelayHarness.Answer {
        client.nonce = nil
        return try #require(
            harness.ask(.refresh, as: client, transactionID: id) {
                $0.append(.mobilityTicket, bytes: ticket)
                if let lifetime { $0.append(.lifetime, number: lifetime) }
            })
    }

    @Test func bothPathsAreHeardUntilTheNewOneIsUsed() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        #expect(try #require(harness.bind(0x4000, to: RelayHarness.peer, as: client)).isSuccess)
        let former = client.address
        client.address = Self.elsewhere
        let id = TransactionID(high: 3, low: 3)
        let first = try refresh(harness, client, ticket, id: id)
        #expect(first.isSuccess)
        #expect(try #require(first.read { $0.value(.mobilityTicket) }).count == 32)
        #expect(try refresh(harness, client, ticket, id: id).bytes == first.bytes)

        func clientOfPeersData() -> SocketAddress? {
            let id = harness.engine.sessions(limit: 1, now: harness.now) { _ in true }[0].id
            let action = harness.engine.receiveFromPeer(
                id, from: RelayHarness.peer, payloadCount: 3, now: harness.now)
            guard case .channelData(_, let tuple) = action else { return nil }
            return tuple.client
        }
        // The old path still works, both ways.
        #expect(clientOfPeersData() == former)
        #expect(harness.sendChannelData([1], 0x4000, from: former) != .none)
        #expect(clientOfPeersData() == former)
        // One packet on the new one, and the old one is over.
        #expect(harness.sendChannelData([1], 0x4000, from: Self.elsewhere) != .none)
        #expect(clientOfPeersData() == Self.elsewhere)
        #expect(harness.sendChannelData([1], 0x4000, from: former) == .none)
        #expect(harness.drops(.noAllocation) == 1)
        #expect(harness.engine.allocationCount == 1)
        #expect(harness.engine.statistics.moves == 1)
        // A retransmission that comes late is answered as before.
        #expect(try refresh(harness, client, ticket, id: id).isSuccess)
    }

    @Test func aRequestOnTheNewPathIsUse() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        client.address = Self.elsewhere
        #expect(try refresh(harness, client, ticket).isSuccess)
        #expect(try #require(harness.permit(RelayHarness.peer, as: client)).isSuccess)
        #expect(harness.send([1], to: RelayHarness.peer, from: RelayHarness.client) == .none)
        #expect(harness.send([1], to: RelayHarness.peer, from: Self.elsewhere) != .none)
    }

    @Test func ticketsAreTheOwnersAndUnforgeable() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        let mallory = RelayHarness.Client(username: "2000000600:default:mallory")
        mallory.address = Self.elsewhere
        #expect(try refresh(harness, mallory, ticket).code == .badRequest)
        client.address = Self.elsewhere
        for index in ticket.indices {
            var forged = ticket
            forged[index] ^= 1
            #expect(try refresh(harness, client, forged).code == .badRequest)
        }
        #expect(try refresh(harness, client, []).code == .badRequest)
        #expect(try refresh(harness, client, Array(ticket.dropLast())).code == .badRequest)
        #expect(try refresh(harness, client, ticket + ticket).code == .badRequest)
        // A user of the same name in another process has another key.
        let other = RelayHarness { $0.ticketKey = Array(repeating: 8, count: 32) }
        let theirs = RelayHarness.Client()
        #expect(try refresh(other, theirs, ticket).code == .badRequest)
        #expect(try refresh(harness, client, ticket).isSuccess)
    }

    @Test func aTicketOfAnotherLoopsAllocationIsHandedOn() throws {
        let (harness, other) = (RelayHarness(), RelayHarness())
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        let answer = try refresh(other, RelayHarness.Client(), ticket)
        #expect(answer.code == .allocationMismatch)
        let number = try #require(other.elsewhere)

        client.address = Self.elsewhere
        #expect(try refresh(harness, client, ticket).isSuccess)
        let tuple = RelayHarness.tuple(Self.elsewhere)
        let departure = harness.engine.depart(to: tuple)
        let (_, departed, transit) = try #require(departure)
        #expect(departed == number)
        #expect(harness.engine.allocationCount == 0)
        let installed = other.engine.install(transit, now: other.now)
        #expect(installed != nil && installed?.displaced == nil)
        let again = other.engine.install(transit, now: other.now)
        #expect(again == nil)
        // It is the other's now, by 5-tuple and by ticket.
        #expect(try refresh(other, client, ticket).isSuccess)
        #expect(try #require(other.permit(RelayHarness.peer, as: client)).isSuccess)
        let second = harness.engine.depart(to: tuple)
        #expect(second == nil)
    }

    @Test func whatIsUseAndWhatIsNot() {
        func isUse(_ type: STUNMessageType) -> Bool {
            let message = RelayHarness.message(type, TransactionID(high: 0, low: 1)) { _ in }
            return RelayEngine.isUse(message.span.bytes)
        }
        #expect(isUse(STUNMessageType(.send, .indication)))
        #expect(isUse(STUNMessageType(.createPermission, .request)))
        #expect(isUse(STUNMessageType(.channelBind, .request)))
        #expect(!isUse(STUNMessageType(.refresh, .request)))
        #expect(!isUse(STUNMessageType(.binding, .request)))
        #expect(!isUse(STUNMessageType(.allocate, .request)))
        for (bytes, expected) in [([0x40, 0, 0, 0] as [UInt8], true), ([], false), ([0x16, 0xFE], false)] {
            let found = RelayEngine.isUse(bytes.span.bytes)
            #expect(found == expected)
        }
    }

    @Test func aMobileAllocationOutlivesItsConnection() throws {
        let harness = RelayHarness()
        let (still, mobile) = (RelayHarness.Client(), RelayHarness.Client())
        mobile.address = Self.elsewhere
        #expect(try #require(harness.allocate(as: still)).isSuccess)
        let ticket = try self.mobile(harness, mobile)
        let gone = harness.engine.disconnect(RelayHarness.tuple(still.address), now: harness.now)
        #expect(gone?.reason == .disconnected)
        #expect(harness.engine.disconnect(RelayHarness.tuple(mobile.address), now: harness.now) == nil)
        mobile.address = SocketAddress("198.51.100.9:50000")!
        #expect(try refresh(harness, mobile, ticket).isSuccess)
    }

    @Test func aTicketDeletesToo() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        client.address = Self.elsewhere
        #expect(try refresh(harness, client, ticket, lifetime: 0).closed?.reason == .deleted)
        #expect(try refresh(harness, client, ticket).code == .allocationMismatch)
    }

    @Test func whereItIsNotAllowedItIsForbidden() throws {
        let harness = RelayHarness { $0.allowsMobility = false }
        let client = RelayHarness.Client()
        let answer = try #require(
            harness.ask(.allocate, as: client) {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.mobilityTicket, bytes: [])
            })
        #expect(answer.code == .mobilityForbidden)
        #expect(try #require(harness.allocate(as: client)).isSuccess)
        #expect(try refresh(harness, client, Array(repeating: 65, count: 32)).code == .mobilityForbidden)
    }

    @Test func aTicketIsOfNoUseToAClientWithAnotherAllocation() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        client.address = Self.elsewhere
        client.nonce = nil
        #expect(try #require(harness.allocate(as: client)).isSuccess)
        #expect(try refresh(harness, client, ticket).code == .allocationMismatch)
    }

    /// Between the end of a lifetime and the sweep that takes the allocation, its 5-tuple is not free.
    @Test func anExpiredAllocationIsInTheWayUntilItIsSwept() throws {
        let harness = RelayHarness { $0.maxLifetimeSeconds = 3600 }
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        #expect(try refresh(harness, client, ticket, lifetime: 3600).isSuccess)
        client.address = Self.elsewhere
        client.nonce = nil
        #expect(try #require(harness.allocate(as: client)).isSuccess)
        harness.now = harness.now + .seconds(601)
        #expect(try refresh(harness, client, ticket).code == .allocationMismatch)
        #expect(harness.engine.expire(now: harness.now).count == 1)
        #expect(try refresh(harness, client, ticket).isSuccess)
    }

    /// The next connection of the same 5-tuple, behind a NAT, may be another client's.
    @Test func aConnectionThatEndedGivesItsPathUp() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let ticket = try mobile(harness, client)
        #expect(try #require(harness.bind(0x4000, to: RelayHarness.peer, as: client)).isSuccess)
        #expect(harness.engine.disconnect(RelayHarness.tuple(client.address), now: harness.now) == nil)
        #expect(harness.engine.allocationCount == 1)

        #expect(harness.sendChannelData([1], 0x4000, from: client.address) == .none)
        let id = harness.engine.sessions(limit: 1, now: harness.now) { _ in true }[0].id
        guard
            case .channelData(_, let tuple) = harness.engine.receiveFromPeer(
                id, from: RelayHarness.peer, payloadCount: 3, now: harness.now)
        else { return #expect(Bool(false), "not relayed") }
        #expect(tuple.client.port == 0)
        let other = RelayHarness.Client(username: "2000000600:default:bob")
        #expect(try #require(harness.allocate(as: other)).isSuccess)

        client.address = Self.elsewhere
        #expect(try refresh(harness, client, ticket).isSuccess)
        #expect(harness.sendChannelData([1], 0x4000, from: Self.elsewhere) != .none)
        #expect(harness.engine.closeAll(now: harness.now).count == 2)
    }
}
