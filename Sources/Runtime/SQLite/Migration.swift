import Base

/// One forward step of a schema. Steps are numbered by their place, from 1; a released step never changes.
package struct Migration: Sendable {
    package let script: String

    package init(_ script: String) { self.script = script }
}

extension Database {
    /// The number of the last migration applied (`PRAGMA user_version`).
    package func schemaVersion() throws -> Int {
        try first("PRAGMA user_version") { $0.int(0) } ?? 0
    }

    /// Brings the schema to the newest version; each step is one transaction, which a crash undoes or keeps whole.
    ///
    /// - Throws: `EdgeError.conflict` if the file comes from a newer release.
    package func migrate(_ migrations: [Migration]) throws {
        let current = try schemaVersion()
        guard current <= migrations.count else {
            throw EdgeError(
                .conflict,
                "the database has schema \(current), this release knows \(migrations.count): start the newer release",
                side: .internal)
        }
        for (index, migration) in migrations.enumerated().dropFirst(current) {
            try execute("BEGIN IMMEDIATE")
            do {
                try execute(migration.script)
                try execute("PRAGMA user_version=\(index + 1)")
                try execute("COMMIT")
            } catch {
                try? execute("ROLLBACK")
                throw error
            }
        }
    }
}
