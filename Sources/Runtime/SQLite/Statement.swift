import CSQLite

/// The owner of one prepared statement. It lives no longer than its `Database`, whose cache holds it.
final class Statement {
    private let handle: OpaquePointer
    /// Set while rows are being read, so that a nested use of the same text prepares another one.
    var isBusy = false

    init(handle: OpaquePointer) { self.handle = handle }

    deinit { sqlite3_finalize(handle) }

    private var database: OpaquePointer? { sqlite3_db_handle(handle) }

    func bind(_ values: [SQLValue]) throws(SQLiteError) {
        precondition(Int(sqlite3_bind_parameter_count(handle)) == values.count, "wrong number of bound values")
        for (index, value) in values.enumerated() {
            let code = bind(value, at: Int32(index + 1))
            guard code == SQLITE_OK else { throw SQLiteError(handle: database, code: code) }
        }
    }

    private func bind(_ value: SQLValue, at position: Int32) -> Int32 {
        // SQLITE_TRANSIENT: SQLite copies before the call returns.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        switch value {
        case .null: return sqlite3_bind_null(handle, position)
        case .integer(let integer): return sqlite3_bind_int64(handle, position, integer)
        case .text(var text):
            return text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    // An empty text has no address, and a null address would bind NULL.
                    guard let base = $0.baseAddress else {
                        return sqlite3_bind_text(handle, position, "", 0, transient)
                    }
                    return sqlite3_bind_text(handle, position, base, Int32($0.count), transient)
                }
            }
        case .blob(let blob):
            guard !blob.isEmpty else { return sqlite3_bind_zeroblob(handle, position, 0) }
            return blob.withUnsafeBytes {
                sqlite3_bind_blob64(handle, position, $0.baseAddress, UInt64($0.count), transient)
            }
        }
    }

    /// Returns whether there is a row.
    func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw SQLiteError(handle: database, code: code)
        }
    }

    /// Makes the statement ready for its next use and forgets the bound values, which may be keys or payloads.
    func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }

    func isNull(_ column: Int) -> Bool { sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL }
    func integer(_ column: Int) -> Int64 { sqlite3_column_int64(handle, Int32(column)) }

    func text(_ column: Int) -> String {
        guard let start = sqlite3_column_text(handle, Int32(column)) else { return "" }
        let count = Int(sqlite3_column_bytes(handle, Int32(column)))
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    func blob(_ column: Int) -> [UInt8] {
        guard let start = sqlite3_column_blob(handle, Int32(column)) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, Int32(column)))))
    }
}

/// The current row of a query, by column from 0. Valid only within the closure that receives it.
package struct Row {
    let statement: Statement

    package func isNull(_ column: Int) -> Bool { statement.isNull(column) }
    /// 0 for null.
    package func integer(_ column: Int) -> Int64 { statement.integer(column) }
    package func int(_ column: Int) -> Int { Int(statement.integer(column)) }
    package func bool(_ column: Int) -> Bool { statement.integer(column) != 0 }
    /// Empty for null.
    package func text(_ column: Int) -> String { statement.text(column) }
    /// Empty for null.
    package func blob(_ column: Int) -> [UInt8] { statement.blob(column) }

    package func optionalInteger(_ column: Int) -> Int64? { isNull(column) ? nil : integer(column) }
    package func optionalText(_ column: Int) -> String? { isNull(column) ? nil : text(column) }
    package func optionalBlob(_ column: Int) -> [UInt8]? { isNull(column) ? nil : blob(column) }
}
