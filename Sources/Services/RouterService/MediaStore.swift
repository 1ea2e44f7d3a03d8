import Base
import RouterEngine
import SQLite
import Wire

/// The media directory in the database. Every query for an object compares its expiry with the time that it is given.
enum MediaStore {
    /// One content in one mode within a tenant: what references hold.
    struct Content: Hashable, Sendable {
        var tenant: Tenant
        var media: MediaID
        var mode: MediaMode

        var key: (tenant: SQLValue, media: SQLValue, mode: SQLValue) {
            (.text(tenant.rawValue), .blob(media.bytes), .text(mode.rawValue))
        }
    }

    /// The original ('') or a derivative.
    struct Object: Sendable {
        var variant: String
        var object: UUID
        var sizeBytes: Int64
        var storedBytes: Int64
        var contentType: String
        var filename: String?
        var manifestRoot: [UInt8]
        var wrappedKey: [UInt8]?
        var bucketHour: Int64
        var expiresAt: MediaRules.Expiry
    }

    /// Storage objects to be deleted, by the edge (`region/name`) that has them.
    typealias Purges = [String: [UUID]]

    // MARK: Objects

    private static let columns =
        "variant, object, size, stored_bytes, content_type, filename, manifest_root, wrapped_key, bucket_hour, expires_ms"

    static func object(_ content: Content, variant: String, _ database: Database) throws -> Object? {
        let key = content.key
        return try database.first(
            "SELECT \(columns) FROM media WHERE tenant = ? AND media = ? AND mode = ? AND variant = ?", key.tenant,
            key.media, key.mode, .text(variant), map: object)
    }

    /// The original and every derivative.
    static func objects(_ content: Content, _ database: Database) throws -> [Object] {
        let key = content.key
        return try database.rows(
            "SELECT \(columns) FROM media WHERE tenant = ? AND media = ? AND mode = ?", key.tenant, key.media, key.mode,
            map: object)
    }

    private static func object(_ row: Row) throws -> Object {
        guard let id = UUID(bytes: row.blob(1)) else {
            throw EdgeError(.corrupt, "a media object in the database is damaged", side: .internal)
        }
        return Object(
            variant: row.text(0), object: id, sizeBytes: row.integer(2), storedBytes: row.integer(3),
            contentType: row.text(4), filename: row.optionalText(5), manifestRoot: row.blob(6),
            wrappedKey: row.optionalBlob(7), bucketHour: row.integer(8), expiresAt: expiry(row, 9))
    }

    static func expiry(_ row: Row, _ column: Int) -> MediaRules.Expiry {
        row.optionalInteger(column).map { WallTime(milliseconds: $0) }
    }

    static func insert(_ object: Object, of content: Content, now: WallTime, _ database: Database) throws {
        let key = content.key
        try database.run(
            """
            INSERT INTO media (tenant, media, mode, variant, object, size, stored_bytes, content_type, filename,
                manifest_root, wrapped_key, bucket_hour, created_ms, expires_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, key.tenant, key.media, key.mode, .text(object.variant), .blob(object.object.bytes),
            .integer(object.sizeBytes), .integer(object.storedBytes), .text(object.contentType),
            .optional(object.filename), .blob(object.manifestRoot), .optional(object.wrappedKey),
            .integer(object.bucketHour), .integer(now.milliseconds), .optional(object.expiresAt?.milliseconds))
    }

    /// Moves the expiry of the original and its derivatives, and with it their keys into the hour's bucket.
    static func setExpiry(
        _ expiresAt: MediaRules.Expiry, of content: Content, _ vault: KeyVault, _ database: Database
    ) throws {
        let key = content.key
        let hour = MediaRules.bucketHour(expiresAt)
        for object in try objects(content, database) where object.expiresAt != expiresAt {
            var wrapped = object.wrappedKey
            if let old = wrapped, object.bucketHour != hour {
                let plain = try vault.unwrap(
                    old, object: object.object, tenant: content.tenant, hour: object.bucketHour, database)
                guard let plain else { throw EdgeError(.corrupt, "an object's key does not open", side: .internal) }
                wrapped = try vault.wrap(plain, object: object.object, tenant: content.tenant, hour: hour, database)
            }
            try database.run(
                """
                UPDATE media SET expires_ms = ?, wrapped_key = ?, bucket_hour = ?
                WHERE tenant = ? AND media = ? AND mode = ? AND variant = ?
                """, .optional(expiresAt?.milliseconds), .optional(wrapped), .integer(hour), key.tenant, key.media,
                key.mode, .text(object.variant))
        }
    }

    /// Deletes the object's record, key included; what edges hold of it is to be purged.
    static func delete(
        _ object: Object, of content: Content, now: WallTime, _ purges: inout Purges, _ database: Database
    ) throws {
        let key = content.key
        try database.run(
            "DELETE FROM media WHERE tenant = ? AND media = ? AND mode = ? AND variant = ?", key.tenant, key.media,
            key.mode, .text(object.variant))
        for edge in try holders(of: object.object, database) {
            try database.run(
                "INSERT OR IGNORE INTO purge VALUES (?, ?, ?)", .text(edge), .blob(object.object.bytes),
                .integer(now.milliseconds))
            purges[edge, default: []].append(object.object)
        }
        try database.run("DELETE FROM holder WHERE object = ?", .blob(object.object.bytes))
    }

    /// Deletes the original, its derivatives and its references.
    static func deleteAll(
        _ content: Content, now: WallTime, _ purges: inout Purges, _ database: Database
    ) throws {
        for object in try objects(content, database) { try delete(object, of: content, now: now, &purges, database) }
        let key = content.key
        try database.run(
            "DELETE FROM reference WHERE tenant = ? AND media = ? AND mode = ?", key.tenant, key.media, key.mode)
    }

    static func expired(now: WallTime, limit: Int, _ database: Database) throws -> [Content] {
        try database.rows(
            "SELECT DISTINCT tenant, media, mode FROM media WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?",
            .integer(now.milliseconds), .integer(limit)
        ) { row in
            guard let tenant = Tenant(row.text(0)), let media = MediaID(bytes: row.blob(1)),
                let mode = MediaMode(rawValue: row.text(2))
            else { throw EdgeError(.corrupt, "a media object in the database is damaged", side: .internal) }
            return Content(tenant: tenant, media: media, mode: mode)
        }
    }

    /// When the next object or the next hour of keys is over.
    static func nextDeadline(_ database: Database) throws -> WallTime? {
        let object = try database.first("SELECT MIN(expires_ms) FROM media WHERE expires_ms IS NOT NULL") {
            expiry($0, 0)
        }
        let hour = try database.first("SELECT MIN(hour) FROM bucket_key WHERE hour > 0") { $0.optionalInteger(0) }
        return MediaRules.earlier(object.flatMap { $0 }, hour.flatMap { $0 }.map { MediaRules.bucketEnd(hour: $0) })
    }

    // MARK: Holders

    static func holders(of object: UUID, _ database: Database) throws -> [String] {
        try database.rows("SELECT edge FROM holder WHERE object = ?", .blob(object.bytes)) { $0.text(0) }
    }

    /// - Returns: false if there is no such object: the edge must delete it.
    static func hold(_ object: UUID, edge: String, _ database: Database) throws -> Bool {
        let isKnown = try database.first("SELECT 1 FROM media WHERE object = ?", .blob(object.bytes)) { _ in true }
        guard isKnown == true else { return false }
        try database.run("INSERT OR IGNORE INTO holder VALUES (?, ?)", .blob(object.bytes), .text(edge))
        return true
    }

    /// The edge has deleted the object. A derivative that nobody holds goes, so that it can be derived again.
    static func drop(_ object: UUID, edge: String, _ database: Database) throws {
        try database.run("DELETE FROM holder WHERE object = ? AND edge = ?", .blob(object.bytes), .text(edge))
        try database.run("DELETE FROM purge WHERE edge = ? AND object = ?", .text(edge), .blob(object.bytes))
        try database.run(
            """
            DELETE FROM media WHERE object = ?1 AND variant <> ''
            AND NOT EXISTS (SELECT 1 FROM holder WHERE object = ?1)
            """, .blob(object.bytes))
    }

    static func outstandingPurges(of edge: String, limit: Int, _ database: Database) throws -> [UUID] {
        try database.rows("SELECT object FROM purge WHERE edge = ? LIMIT ?", .text(edge), .integer(limit)) {
            UUID(bytes: $0.blob(0))
        }.compactMap { $0 }
    }

    /// - Returns: whether there may be more.
    static func sweep(now: WallTime, limit: Int, _ database: Database) throws -> Bool {
        // An edge that has not come back in this time has lost its disk.
        let lost = now.milliseconds - 90 * 86_400_000
        let purges = try database.run(
            "DELETE FROM purge WHERE (edge, object) IN (SELECT edge, object FROM purge WHERE since_ms <= ? LIMIT ?)",
            .integer(lost), .integer(limit))
        // Those of objects that others keep; an object that has expired takes its references with it.
        let references = try database.run(
            """
            DELETE FROM reference WHERE (tenant, media, mode, user) IN
                (SELECT tenant, media, mode, user FROM reference WHERE expires_ms <= ? LIMIT ?)
            """, .integer(now.milliseconds), .integer(limit))
        return purges == limit || references == limit
    }
}
