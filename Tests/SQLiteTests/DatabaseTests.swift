import Base
import Glibc
import SQLite
import Testing

@Suite struct DatabaseTests {
    @Test func everyStorageClassComesBack() throws {
        let file = TemporaryFile()
        let database = try Database(path: file.path)
        try database.execute("CREATE TABLE t (a, b, c, d, e)")
        try database.run(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?)", .integer(Int64.min), .text("é\u{0}x"), .blob([0, 255]), nil,
            .text(""))
        try database.run(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?)", 7, "", .blob([]), .optional(nil as String?), .bool(true))
        let rows = try database.rows("SELECT a, b, c, d, e FROM t ORDER BY rowid") { row in
            (row.integer(0), row.text(1), row.optionalBlob(2), row.optionalText(3), row.isNull(4))
        }
        #expect(rows[0].0 == .min && rows[0].1 == "é\u{0}x" && rows[0].2 == [0, 255] && rows[0].3 == nil && !rows[0].4)
        #expect(rows[1].0 == 7 && rows[1].1 == "" && rows[1].2 == [] && rows[1].3 == nil)
    }

    @Test func nestedQueriesOfTheSameTextDoNotDisturbEachOther() throws {
        let file = TemporaryFile()
        let database = try Database(path: file.path)
        try database.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3)")
        let sums = try database.rows("SELECT a FROM t") { outer in
            let inner = try database.rows("SELECT a FROM t") { $0.int(0) }
            return outer.int(0) + inner.reduce(0, +)
        }
        #expect(sums == [7, 8, 9])
    }

    @Test func theFileBelongsToItsOwnerAlone() throws {
        let file = TemporaryFile()
        let database = try Database(path: file.path)
        try database.execute("CREATE TABLE t (a)")
        for suffix in ["", "-wal", "-shm"] {
            var status = stat()
            #expect(stat(file.path + suffix, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func durabilityAndDeletionAreOn() throws {
        let file = TemporaryFile()
        let database = try Database(path: file.path)
        #expect(try database.first("PRAGMA journal_mode") { $0.text(0) } == "wal")
        #expect(try database.first("PRAGMA synchronous") { $0.int(0) } == 2)
        #expect(try database.first("PRAGMA secure_delete") { $0.int(0) } == 1)
        #expect(try database.first("PRAGMA foreign_keys") { $0.int(0) } == 1)
    }

    @Test func aReadOnlyConnectionRefusesWrites() throws {
        let file = TemporaryFile()
        let writer = try Database(path: file.path)
        try writer.execute("CREATE TABLE t (a)")
        let reader = try Database(path: file.path, mode: .readOnly)
        #expect(throws: SQLiteError.self) { try reader.run("INSERT INTO t VALUES (1)") }
    }

    @Test func migrationsGoForwardOnceAndRefuseANewerFile() throws {
        let file = TemporaryFile()
        let first = Migration("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        let second = Migration("ALTER TABLE t ADD COLUMN b DEFAULT 5")
        do {
            let database = try Database(path: file.path)
            try database.migrate([first])
            #expect(try database.schemaVersion() == 1)
        }
        do {
            let database = try Database(path: file.path)
            try database.migrate([first, second])
            try database.migrate([first, second])
            #expect(try database.rows("SELECT b FROM t") { $0.int(0) } == [5])
        }
        let older = try Database(path: file.path)
        #expect { try older.migrate([first]) } throws: { ($0 as? EdgeError)?.kind == .conflict }
    }

    @Test func aFailingMigrationLeavesNothingBehind() throws {
        let file = TemporaryFile()
        let database = try Database(path: file.path)
        #expect(throws: SQLiteError.self) {
            try database.migrate([Migration("CREATE TABLE t (a); CREATE TABLE t (a)")])
        }
        #expect(try database.schemaVersion() == 0)
        #expect(try database.rows("SELECT name FROM sqlite_schema") { $0.text(0) } == [])
    }
}
