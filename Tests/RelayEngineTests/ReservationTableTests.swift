import Base
import RelayEngine
import Testing

@Suite struct ReservationTableTests {
    /// The macros of the tests call nothing that changes a value.
    private final class Table {
        private var table = ReservationTable<String>(capacity: 8)

        func keep(_ held: String, _ token: UInt64, for owner: UserAddress, now: MonotonicInstant) -> Bool {
            table.keep(held, token, for: owner, now: now)
        }

        func take(_ token: UInt64, for owner: UserAddress, now: MonotonicInstant) -> String? {
            table.take(token, for: owner, now: now)
        }

        func expire(now: MonotonicInstant) { table.expire(now: now) }
        func hasRoom(for owner: UserAddress) -> Bool { table.hasRoom(for: owner) }
    }

    private let now = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func user(_ name: String) throws -> UserAddress {
        try #require(UserAddress(tenant: .default, user: name))
    }

    @Test func whatIsKeptIsItsOwnersOnceAndForHalfAMinute() throws {
        let table = Table()
        let (alice, bob) = (try user("alice"), try user("bob"))
        #expect(table.keep("a", 1, for: alice, now: now))
        #expect(!table.keep("b", 1, for: bob, now: now))
        #expect(table.take(1, for: bob, now: now) == nil)
        #expect(table.take(1, for: alice, now: now) == "a")
        #expect(table.take(1, for: alice, now: now) == nil)
        #expect(table.keep("c", 2, for: alice, now: now))
        #expect(table.take(2, for: alice, now: now + .seconds(30)) == nil)
        table.expire(now: now + .seconds(30))
        #expect(table.keep("d", 2, for: bob, now: now + .seconds(30)))
    }

    @Test func oneUserCannotHaveAll() throws {
        let table = Table()
        let (alice, bob) = (try user("alice"), try user("bob"))
        #expect(table.keep("", 1, for: alice, now: now))
        #expect(table.keep("", 2, for: alice, now: now))
        #expect(!table.hasRoom(for: alice))
        #expect(!table.keep("", 3, for: alice, now: now))
        #expect(table.hasRoom(for: bob))
    }
}
