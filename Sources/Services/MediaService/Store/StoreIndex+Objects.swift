import Base
import MediaEngine
import SQLite
import Wire

extension StoreIndex {
    func object(_ object: UUID) async throws -> ObjectRecord? {
        try await readers.read { database in
            try database.first(
                "SELECT \(Self.objectColumns) FROM objects WHERE object=?", .blob(object.bytes), map: Self.object)
                ?? nil
        }
    }

    /// Whether the object is on this disk, or an upload that becomes it has still to hear that it is registered.
    func keeps(_ object: UUID) async throws -> Bool {
        try await readers.read { database in
            try database.first(
                """
                SELECT 1 FROM objects WHERE object=?1
                UNION ALL SELECT 1 FROM uploads WHERE phase=2 AND object=?1
                """, .blob(object.bytes)
            ) { _ in true } ?? false
        }
    }

    func insert(_ object: ObjectRecord) async throws {
        try await writer.write { try Self.insert(object, on: $0) }
    }

    func setExpiry(_ expiresAt: WallTime?, of object: UUID) async throws {
        try await writer.write { database in
            _ = try database.run(
                "UPDATE objects SET expires_ms=? WHERE object=?", .optional(expiresAt?.milliseconds),
                .blob(object.bytes))
        }
    }

    /// Forgets an object and its jobs, and dooms its file.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    func delete(object: UUID) async throws -> Bool {
        try await writer.write { database in
            try database.run(
                "INSERT OR IGNORE INTO doomed_files (file) SELECT file FROM objects WHERE object=?", .blob(object.bytes)
            )
            try database.run("DELETE FROM thumbnail_jobs WHERE source=?", .blob(object.bytes))
            return try database.run("DELETE FROM objects WHERE object=?", .blob(object.bytes)) > 0
        }
    }

    /// Objects whose expiry, as it was known last, has passed.
    func objects(expiredBefore time: WallTime, limit: Int) async throws -> [UUID] {
        try await readers.read { database in
            try database.rows(
                "SELECT object FROM objects WHERE expires_ms<=? ORDER BY expires_ms LIMIT ?",
                .integer(time.milliseconds), .integer(limit)
            ) { UUID(bytes: $0.blob(0)) }.compactMap { $0 }
        }
    }

    func doomedFiles(limit: Int) async throws -> [String] {
        try await readers.read { database in
            try database.rows("SELECT file FROM doomed_files LIMIT ?", .integer(limit)) { $0.text(0) }
        }
    }

    func forget(doomedFiles files: [String]) async throws {
        try await writer.write { database in
            for file in files { try database.run("DELETE FROM doomed_files WHERE file=?", .text(file)) }
        }
    }

    /// Adds a job unless there is one.
    func insert(_ job: ThumbnailJob) async throws {
        try await writer.write { try Self.insert(job, on: $0) }
    }

    func thumbnailJob(of source: UUID, variant: String) async throws -> ThumbnailJob? {
        try await readers.read { database in
            try database.first(
                "SELECT \(Self.jobColumns) FROM thumbnail_jobs WHERE source=? AND variant=?", .blob(source.bytes),
                .text(variant), map: Self.job) ?? nil
        }
    }

    /// Jobs still to be done, oldest first.
    func openThumbnailJobs(limit: Int) async throws -> [ThumbnailJob] {
        try await readers.read { database in
            try database.rows(
                "SELECT \(Self.jobColumns) FROM thumbnail_jobs WHERE failed=0 ORDER BY attempts, created_ms LIMIT ?",
                .integer(limit), map: Self.job
            ).compactMap { $0 }
        }
    }

    func saveAttempt(of job: ThumbnailJob) async throws {
        try await writer.write { database in
            // A job that has failed for good needs its key no longer.
            _ = try database.run(
                """
                UPDATE thumbnail_jobs SET attempts=?, object=?, failed=?, key=CASE WHEN ? THEN x'' ELSE key END
                WHERE source=? AND variant=?
                """,
                .integer(job.attempts), job.object.map { .blob($0.bytes) } ?? .null, .bool(job.hasFailed),
                .bool(job.hasFailed), .blob(job.source.bytes), .text(job.variant))
        }
    }

    func finish(_ job: ThumbnailJob, object: ObjectRecord?) async throws {
        try await writer.write { database in
            if let object { try Self.insert(object, on: database) }
            try database.run(
                "DELETE FROM thumbnail_jobs WHERE source=? AND variant=?", .blob(job.source.bytes), .text(job.variant))
        }
    }

    /// Files of objects that are written before their record stands: doomed until then.
    func doom(_ file: String) async throws {
        try await writer.write { database in
            _ = try database.run("INSERT OR IGNORE INTO doomed_files (file) VALUES (?)", .text(file))
        }
    }

    static func insert(_ object: ObjectRecord, on database: Database) throws {
        try database.run(
            "INSERT OR REPLACE INTO objects (object, media, variant, file, size, mode, root, expires_ms) VALUES (?,?,?,?,?,?,?,?)",
            .blob(object.object.bytes), .blob(object.media.bytes), .text(object.variant), .text(object.file),
            .integer(object.size), .integer(Int64(object.mode.byte)), .blob(object.manifestRoot),
            .optional(object.expiresAt?.milliseconds))
        try database.run("DELETE FROM doomed_files WHERE file=?", .text(object.file))
    }

    static func insert(_ job: ThumbnailJob, on database: Database) throws {
        try database.run(
            """
            INSERT OR IGNORE INTO thumbnail_jobs
                (source, variant, media, content_type, key, created_ms, expires_ms, attempts, failed)
            VALUES (?,?,?,?,?,?,?,?,?)
            """,
            .blob(job.source.bytes), .text(job.variant), .blob(job.media.bytes), .text(job.contentType),
            .blob(job.wrappedKey), .integer(job.createdAt.milliseconds), .optional(job.expiresAt?.milliseconds),
            .integer(job.attempts), .bool(job.hasFailed))
    }

    private static let objectColumns = "object, media, variant, file, size, mode, root, expires_ms"

    private static func object(_ row: Row) throws -> ObjectRecord? {
        guard let object = UUID(bytes: row.blob(0)), let media = MediaID(bytes: row.blob(1)),
            let mode = MediaMode(byte: UInt8(row.int(5)))
        else { return nil }
        return ObjectRecord(
            object: object, media: media, variant: row.text(2), file: row.text(3), size: row.integer(4), mode: mode,
            manifestRoot: row.blob(6), expiresAt: row.optionalInteger(7).map { WallTime(milliseconds: $0) })
    }

    private static let jobColumns =
        "source, media, variant, content_type, key, created_ms, expires_ms, attempts, failed, object"

    private static func job(_ row: Row) throws -> ThumbnailJob? {
        guard let source = UUID(bytes: row.blob(0)), let media = MediaID(bytes: row.blob(1)) else { return nil }
        return ThumbnailJob(
            source: source, media: media, variant: row.text(2), contentType: row.text(3), wrappedKey: row.blob(4),
            createdAt: WallTime(milliseconds: row.integer(5)),
            expiresAt: row.optionalInteger(6).map { WallTime(milliseconds: $0) }, attempts: row.int(7),
            hasFailed: row.bool(8), object: UUID(bytes: row.blob(9)))
    }
}
