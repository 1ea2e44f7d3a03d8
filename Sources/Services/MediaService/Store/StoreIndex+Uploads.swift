import Base
import MediaEngine
import SQLite
import Wire

extension StoreIndex {
    /// Enters an upload, unless its owner or the node has too many unfinished ones.
    ///
    /// - Throws: `EdgeError` that names the bound.
    func insert(_ upload: UploadRecord, maxOfUser: Int, maxOfNode: Int) async throws {
        try await writer.write { database in
            let ofUser = try database.first(
                "SELECT count(*) FROM uploads WHERE tenant=? AND user=? AND phase=0",
                .text(upload.owner.tenant.rawValue), .text(upload.owner.user)
            ) { $0.int(0) }
            guard (ofUser ?? 0) < maxOfUser else {
                throw EdgeError(
                    .exhausted, "at most \(maxOfUser) unfinished uploads per user: finish or delete one",
                    isRetryable: true)
            }
            let ofNode = try database.first("SELECT count(*) FROM uploads WHERE phase=0") { $0.int(0) }
            guard (ofNode ?? 0) < maxOfNode else {
                throw EdgeError(
                    .unavailable, "this node has too many unfinished uploads", side: .internal, isRetryable: true)
            }
            try database.run(
                """
                INSERT INTO uploads (id, tenant, user, created_ms, touched_ms, length, header, filename, filetype, mode,
                    retention_s, declared, object, file, key, offset, midstate, tail, epochs, token, phase)
                VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)
                """,
                .blob(upload.id.bytes), .text(upload.owner.tenant.rawValue), .text(upload.owner.user),
                .integer(upload.createdAt.milliseconds), .integer(upload.createdAt.milliseconds),
                .integer(upload.length), .text(upload.metadata.header), .optional(upload.metadata.filename),
                .optional(upload.metadata.filetype), .integer(Int64(upload.metadata.mode.byte)),
                .optional(upload.metadata.retention.seconds), .optional(upload.metadata.sha256?.bytes),
                .blob(upload.object.bytes), .text(upload.file), .optional(upload.wrappedKey),
                .integer(upload.progress.offset), .blob(upload.progress.midstate), .blob(upload.progress.tail),
                .blob(upload.progress.epochs.encoded), .optional(upload.wrappedToken))
        }
    }

    func upload(_ id: UUID) async throws -> UploadRecord? {
        try await readers.read { database in
            try database.first(
                "SELECT \(Self.uploadColumns) FROM uploads WHERE id=?", .blob(id.bytes), map: Self.upload)
                ?? nil
        }
    }

    /// What the last request wrote: durable from here on.
    func save(_ progress: UploadRecord.Progress, firstLeaf: Int, leaves: [UInt8], of id: UUID, now: WallTime)
        async throws
    {
        try await writer.write { database in
            let changed = try database.run(
                "UPDATE uploads SET offset=?, midstate=?, tail=?, epochs=?, touched_ms=? WHERE id=?",
                .integer(progress.offset), .blob(progress.midstate), .blob(progress.tail),
                .blob(progress.epochs.encoded), .integer(now.milliseconds), .blob(id.bytes))
            guard changed == 1 else { throw EdgeError(.notFound, "the upload is gone") }
            guard !leaves.isEmpty else { return }
            try database.run(
                "INSERT OR REPLACE INTO upload_leaves (upload, first, leaves) VALUES (?,?,?)", .blob(id.bytes),
                .integer(firstLeaf), .blob(leaves))
        }
    }

    func save(epochs: EpochRuns, of id: UUID) async throws {
        try await writer.write { database in
            _ = try database.run(
                "UPDATE uploads SET epochs=? WHERE id=?", .blob(epochs.encoded), .blob(id.bytes))
        }
    }

    /// The leaves of all chunks, in their order.
    func leaves(of id: UUID) async throws -> [UInt8] {
        try await readers.read { database in
            try database.rows(
                "SELECT leaves FROM upload_leaves WHERE upload=? ORDER BY first", .blob(id.bytes)
            ) { $0.blob(0) }.flatMap { $0 }
        }
    }

    /// The upload is whole and right: from here on the outbox owns it.
    func saveVerified(_ id: UUID, media: MediaID, root: [UInt8], wrappedToken: [UInt8]?, now: WallTime) async throws {
        try await writer.write { database in
            try database.run(
                "UPDATE uploads SET phase=2, media=?, root=?, token=coalesce(?, token), touched_ms=? WHERE id=?",
                .blob(media.bytes),
                .blob(root), .optional(wrappedToken), .integer(now.milliseconds), .blob(id.bytes))
            try database.run("DELETE FROM upload_leaves WHERE upload=?", .blob(id.bytes))
        }
    }

    /// The directory has it. The key and the token go; the object stays if it is the directory's.
    func saveRegistered(_ upload: UploadRecord, object: ObjectRecord?, job: ThumbnailJob?, now: WallTime) async throws {
        try await writer.write { database in
            try database.run(
                "UPDATE uploads SET phase=3, key=NULL, token=NULL, tail=x'', midstate=x'', touched_ms=? WHERE id=?",
                .integer(now.milliseconds), .blob(upload.id.bytes))
            if let object {
                try Self.insert(object, on: database)
            } else {
                try database.run("INSERT OR IGNORE INTO doomed_files (file) VALUES (?)", .text(upload.file))
            }
            if let job { try Self.insert(job, on: database) }
        }
    }

    /// Forgets the upload. Its file goes too unless it is an object by now.
    func delete(_ upload: UploadRecord) async throws {
        try await writer.write { database in
            try Self.delete(upload.id, file: upload.file, on: database)
        }
    }

    /// Uploads whose time is over, oldest first: unfinished and registered ones, never those in the outbox.
    func staleUploads(before time: WallTime, limit: Int) async throws -> [UploadRecord] {
        try await readers.read { database in
            try database.rows(
                "SELECT \(Self.uploadColumns) FROM uploads WHERE phase IN (0,3) AND touched_ms<? ORDER BY touched_ms LIMIT ?",
                .integer(time.milliseconds), .integer(limit), map: Self.upload
            ).compactMap { $0 }
        }
    }

    /// Uploads that a crash stopped on their way into the directory, and those that the central does not know yet.
    ///
    /// Not one without bytes that is still being created: that request finishes it, and if it does not, nobody heard its name.
    func unregisteredUploads(limit: Int) async throws -> [UUID] {
        try await readers.read { database in
            try database.rows(
                """
                SELECT id FROM uploads WHERE phase IN (1,2) OR (phase=0 AND offset=length AND length>0)
                ORDER BY touched_ms LIMIT ?
                """, .integer(limit)
            ) { UUID(bytes: $0.blob(0)) }.compactMap { $0 }
        }
    }

    private static func delete(_ id: UUID, file: String, on database: Database) throws {
        try database.run("DELETE FROM uploads WHERE id=?", .blob(id.bytes))
        try database.run("DELETE FROM upload_leaves WHERE upload=?", .blob(id.bytes))
        try database.run(
            """
            INSERT OR IGNORE INTO doomed_files (file)
            SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM objects WHERE file=?1)
            """, .text(file))
    }

    private static let uploadColumns = """
        id, tenant, user, created_ms, length, header, filename, filetype, mode, retention_s, declared, object, file, key, \
        offset, midstate, tail, epochs, phase, media, root, token
        """

    private static func upload(_ row: Row) throws -> UploadRecord? {
        guard let id = UUID(bytes: row.blob(0)), let tenant = Tenant(row.text(1)),
            let owner = UserAddress(tenant: tenant, user: row.text(2)), let mode = MediaMode(byte: UInt8(row.int(8))),
            let object = UUID(bytes: row.blob(11)), let epochs = EpochRuns(encoded: row.blob(17)),
            let phase = UploadStateMachine.Phase(code: row.integer(18), media: row.optionalBlob(19))
        else { return nil }
        var metadata = UploadMetadata()
        metadata.header = row.text(5)
        metadata.filename = row.optionalText(6)
        metadata.filetype = row.optionalText(7)
        metadata.mode = mode
        metadata.retention = row.optionalInteger(9).map { .seconds($0) } ?? .pinned
        metadata.sha256 = row.optionalBlob(10).flatMap { MediaID(bytes: $0) }
        return UploadRecord(
            id: id, owner: owner, createdAt: WallTime(milliseconds: row.integer(3)), length: row.integer(4),
            metadata: metadata, object: object, file: row.text(12), wrappedKey: row.optionalBlob(13),
            progress: .init(offset: row.integer(14), midstate: row.blob(15), tail: row.blob(16), epochs: epochs),
            phase: phase, manifestRoot: row.optionalBlob(20), wrappedToken: row.optionalBlob(21))
    }
}
