import Base
import Testing

@testable import ConnectionService

@Suite struct TicketTableTests {
    private let table = TicketTable(maxTickets: 3, maxTicketsPerUser: 2, life: .seconds(30))
    private let start = MonotonicInstant(nanoseconds: 1)
    private let tenant: Tenant

    init() throws { tenant = try #require(Tenant("default")) }

    private func issue(_ token: String, of user: String, at now: MonotonicInstant) throws -> String? {
        table.issue(for: token, of: try #require(UserAddress(tenant: tenant, user: user)), now: now)
    }

    @Test func aUserDoesNotTakeTheRoomOfAll() throws {
        let tickets = try (0..<5).map { try #require(try issue("a\($0)", of: "alice", at: start)) }
        let other = try #require(try issue("b", of: "bob", at: start), "there is room for others")
        #expect(tickets.map { table.redeem($0, now: start) } == [nil, nil, nil, "a3", "a4"])
        #expect(table.redeem(other, now: start) == "b")
        #expect(table.redeem(other, now: start) == nil)
    }

    @Test func expiredTicketsMakeRoom() throws {
        for user in ["alice", "bob", "carol"] { #expect(try issue(user, of: user, at: start) != nil) }
        #expect(try issue("d", of: "dave", at: start) == nil)
        let later = start + .seconds(30)
        let ticket = try #require(try issue("d", of: "dave", at: later))
        #expect(table.redeem(ticket, now: later) == "d")
    }
}
