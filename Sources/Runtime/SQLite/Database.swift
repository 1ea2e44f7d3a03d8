import Base
import CSQLite
import Glibc

/// One connection to a database file, with a cache of its prepared statements.
///
/// Not `Sendable`: a connection stays with the thread that uses it. `DatabaseWriter` and `DatabaseReaders` own such
/// threads and lend the connection to closures.
package final class Database {
    package enum Mode: Sendable {
        /// The one connection that writes; creates the file, readable by its owner alone.
        case readWrite
        case readOnly
    }

    private let handle: OpaquePointer
    private var statements: [String: Statement] = [:]
    private let maxCachedStatements = 256

    /// Opens a connection with write-ahead logging, `synchronous=FULL` (a commit is on the disk when it returns),
    /// `secure_delete` (deleted content is overwritten) and foreign keys.
    package init(path: String, mode: Mode = .readWrite, busyTimeoutMs: Int = 5000) throws {
        var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        switch mode {
        case .readWrite:
            flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            // SQLite would create it by the umask; its -wal and -shm take over the mode of the file.
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw EdgeError(.io, "cannot open the database \(path): errno \(errno)", side: .internal)
            }
            close(descriptor)
        case .readOnly: flags |= SQLITE_OPEN_READONLY
        }
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let error = SQLiteError(handle: opened, code: code)
            sqlite3_close_v2(opened)
            throw EdgeError(.io, "cannot open the database \(path)", side: .internal, cause: error)
        }
        handle = opened
        sqlite3_busy_timeout(handle, Int32(clamping: busyTimeoutMs))
        if mode == .readWrite {
            try execute("PRAGMA journal_mode=WAL")
            try execute("PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON")
            // The log never stays larger than this after a checkpoint.
            try execute("PRAGMA journal_size_limit=67108864")
        }
        // Temporary tables and sorters stay off the disk: they may hold keys.
        try execute("PRAGMA temp_store=MEMORY")
    }

    deinit {
        statements.removeAll()
        sqlite3_close_v2(handle)
    }

    /// Runs statements without parameters and without results.
    package func execute(_ script: String) throws {
        let code = sqlite3_exec(handle, script, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteError(handle: handle, code: code) }
    }

    /// Runs one statement to its end.
    ///
    /// - Parameter sql: a constant text; it is the key in the statement cache.
    /// - Returns: how many rows it inserted, changed or deleted.
    @discardableResult
    package func run(_ sql: String, _ values: SQLValue...) throws -> Int {
        try withStatement(sql, values) { statement in
            while try statement.step() {}
        }
        return Int(sqlite3_changes(handle))
    }

    /// All rows of a query.
    package func rows<Value>(_ sql: String, _ values: SQLValue..., map: (Row) throws -> Value) throws -> [Value] {
        try withStatement(sql, values) { statement in
            var output: [Value] = []
            while try statement.step() { output.append(try map(Row(statement: statement))) }
            return output
        }
    }

    /// The first row of a query, if there is one.
    package func first<Value>(_ sql: String, _ values: SQLValue..., map: (Row) throws -> Value) throws -> Value? {
        try withStatement(sql, values) { statement in
            try statement.step() ? try map(Row(statement: statement)) : nil
        }
    }

    /// The rowid of the last row that this connection inserted.
    package var lastInsertedRowID: Int64 { sqlite3_last_insert_rowid(handle) }

    /// Whether a transaction is open. SQLite itself rolls back on a full disk or an I/O error.
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Moves the write-ahead log into the file and truncates it, so that nothing deleted stands in it any more.
    ///
    /// - Returns: false if a reader still needs the log; try again later.
    func truncateLog() throws -> Bool {
        let isBlocked = try first("PRAGMA wal_checkpoint(TRUNCATE)") { $0.integer(0) != 0 }
        return isBlocked == false
    }

    private func withStatement<Value>(
        _ sql: String, _ values: [SQLValue], _ body: (Statement) throws -> Value
    ) throws -> Value {
        let statement = try prepare(sql)
        statement.isBusy = true
        defer {
            statement.reset()
            statement.isBusy = false
        }
        try statement.bind(values)
        return try body(statement)
    }

    private func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        if let cached = statements[sql], !cached.isBusy { return cached }
        var prepared: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard code == SQLITE_OK, let prepared else { throw SQLiteError(handle: handle, code: code) }
        let statement = Statement(handle: prepared)
        if statements[sql] == nil {
            // The texts are constants of the code, so this bound is not met in practice.
            if statements.count >= maxCachedStatements { statements.removeAll(keepingCapacity: true) }
            statements[sql] = statement
        }
        return statement
    }
}
