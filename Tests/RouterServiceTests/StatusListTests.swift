import Base
import Runtime
import SQLite
import Testing
import Wire

@testable import RouterService

@Suite struct StatusListTests {
    @Test func whatDoesNotFitAListIsNotRead() async throws {
        let path = "/tmp/skerry-statuses-\(UUID.v7(at: WallClock.now())).db"
        let writer = try DatabaseWriter(path: path, migrations: Schema.migrations)
        defer {
            writer.close()
            for suffix in ["", "-wal", "-shm"] { try? FileSystem.remove(path + suffix) }
        }
        let alice = try #require(UserAddress(tenant: .default, user: "alice"))
        let now = WallTime(milliseconds: 1000)
        try await writer.write { database in
            // The third, which is the oldest, could not be read.
            for (number, size) in [(3, 16), (2, 16), (1, 15)] {
                try database.run(
                    "INSERT INTO status VALUES ('default', 'alice', ?, NULL, ?, ?, 9000)",
                    .blob([UInt8](repeating: UInt8(number), count: size)), .blob([UInt8](repeating: 0, count: 1000)),
                    .integer(number))
            }
        }
        func list(maxItems: Int, maxBytes: Int) async throws -> [Int64] {
            try await writer.write {
                try StatusStore.visible(
                    to: alice, of: alice, maxItems: maxItems, maxBytes: maxBytes, now: now, $0
                ).map(\.time.milliseconds)
            }
        }
        #expect(try await list(maxItems: 10, maxBytes: 3000) == [3, 2])
        #expect(try await list(maxItems: 10, maxBytes: 1300) == [3])
        #expect(try await list(maxItems: 1, maxBytes: 3000) == [3])
        await #expect(throws: EdgeError.self) { try await list(maxItems: 10, maxBytes: 4000) }
    }
}
