package import Base
import CSQLite

/// What SQLite answered: its extended result code and its message, which never holds a bound value.
package struct SQLiteError: Error, Equatable, CustomStringConvertible {
    /// Extended result code (https://sqlite.org/rescode.html).
    package let code: Int32
    package let message: String

    init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    init(handle: OpaquePointer?, code: Int32) {
        let extended = handle.map { sqlite3_extended_errcode($0) } ?? code
        self.code = extended == SQLITE_OK ? code : extended
        message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
    }

    var primaryCode: Int32 { code & 0xFF }

    /// Whether a row broke a UNIQUE, PRIMARY KEY, FOREIGN KEY, CHECK or NOT NULL rule.
    package var isConstraint: Bool { primaryCode == SQLITE_CONSTRAINT }

    package var description: String { "SQLite \(code): \(message)" }

    /// The error as the floors above know it.
    package var edgeError: EdgeError {
        switch primaryCode {
        case SQLITE_CONSTRAINT: EdgeError(.conflict, "a database rule was broken", side: .internal, cause: self)
        case SQLITE_CORRUPT, SQLITE_NOTADB: EdgeError(.corrupt, "the database is damaged", side: .internal, cause: self)
        case SQLITE_FULL: EdgeError(.exhausted, "the disk is full", side: .internal, isRetryable: true, cause: self)
        case SQLITE_BUSY, SQLITE_LOCKED:
            EdgeError(
                .unavailable, "the database is locked by another process", side: .internal, isRetryable: true,
                cause: self)
        default: EdgeError(.io, "the database failed", side: .internal, isRetryable: true, cause: self)
        }
    }
}

/// Any error of a database closure as an `EdgeError`; those that are one pass through.
func edgeError(_ error: any Error) -> EdgeError {
    switch error {
    case let error as EdgeError: error
    case let error as SQLiteError: error.edgeError
    default: EdgeError(.io, "the database closure failed", side: .internal, cause: error)
    }
}
