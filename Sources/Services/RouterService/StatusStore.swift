import Base
import RouterEngine
import SQLite
import Wire

/// Statuses in the database. Every query for them compares the expiry with the time that it is given.
enum StatusStore {
    struct Stored: Sendable {
        var audience: StatusAudience
        var media: MediaID?
    }

    static func liveCount(of author: UserAddress, now: WallTime, _ database: Database) throws -> Int {
        try database.first(
            "SELECT COUNT(*) FROM status WHERE tenant = ? AND author = ? AND expires_ms > ?",
            .text(author.tenant.rawValue), .text(author.user), .integer(now.milliseconds)
        ) { $0.int(0) } ?? 0
    }

    static func exists(_ status: UUID, of author: UserAddress, _ database: Database) throws -> Bool {
        try database.first(
            "SELECT 1 FROM status WHERE tenant = ? AND author = ? AND status = ?", .text(author.tenant.rawValue),
            .text(author.user), .blob(status.bytes)
        ) { _ in true } ?? false
    }

    static func insert(_ post: StatusEngine.Post, _ database: Database) throws {
        let (tenant, author) = (SQLValue.text(post.author.tenant.rawValue), SQLValue.text(post.author.user))
        try database.run(
            "INSERT INTO status VALUES (?, ?, ?, ?, ?, ?, ?)", tenant, author, .blob(post.status.bytes),
            .optional(post.media?.bytes), .optional(post.payload), .integer(post.time.milliseconds),
            .integer(post.expiresAt.milliseconds))
        for viewer in post.audience {
            try database.run(
                "INSERT INTO status_audience VALUES (?, ?, ?, ?)", tenant, author, .blob(post.status.bytes),
                .text(viewer.user))
        }
        try OutboxStore.append(OutboxEntry.entries(posting: post), from: Slot(post.author), database)
    }

    /// The status with its audience, if it is live.
    static func load(
        _ status: UUID, of author: UserAddress, now: WallTime, _ database: Database
    ) throws -> Stored? {
        try database.first(
            "SELECT media FROM status WHERE tenant = ? AND author = ? AND status = ? AND expires_ms > ?",
            .text(author.tenant.rawValue), .text(author.user), .blob(status.bytes), .integer(now.milliseconds)
        ) { row in
            Stored(
                audience: try audience(status, author, database),
                media: row.optionalBlob(0).flatMap { MediaID(bytes: $0) })
        }
    }

    private static func audience(_ status: UUID, _ author: UserAddress, _ database: Database) throws -> StatusAudience {
        let users = try database.rows(
            "SELECT viewer FROM status_audience WHERE tenant = ? AND author = ? AND status = ?",
            .text(author.tenant.rawValue), .text(author.user), .blob(status.bytes)
        ) { UserAddress(tenant: author.tenant, user: $0.text(0)) }
        return StatusAudience(status: status, author: author, users: users.compactMap { $0 })
    }

    static func delete(_ stored: Stored, _ database: Database) throws {
        let author = stored.audience.author
        for table in ["status", "status_audience"] {
            try database.run(
                "DELETE FROM \(table) WHERE tenant = ? AND author = ? AND status = ?", .text(author.tenant.rawValue),
                .text(author.user), .blob(stored.audience.status.bytes))
        }
        try OutboxStore.append(
            OutboxEntry.entries(removing: stored.audience, media: stored.media), from: Slot(author), database)
    }

    static func expired(now: WallTime, limit: Int, _ database: Database) throws -> [Stored] {
        try database.rows(
            "SELECT tenant, author, status, media FROM status WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?",
            .integer(now.milliseconds), .integer(limit)
        ) { row in
            guard let tenant = Tenant(row.text(0)), let author = UserAddress(tenant: tenant, user: row.text(1)),
                let status = UUID(bytes: row.blob(2))
            else { throw EdgeError(.corrupt, "a status in the database is damaged", side: .internal) }
            return Stored(
                audience: try audience(status, author, database),
                media: row.optionalBlob(3).flatMap { MediaID(bytes: $0) })
        }
    }

    static func nextExpiry(_ database: Database) throws -> WallTime? {
        try database.first("SELECT MIN(expires_ms) FROM status") { $0.optionalInteger(0) }
            .flatMap { $0 }.map { WallTime(milliseconds: $0) }
    }

    /// What a viewer may see, newest first, within the bounds of one answer.
    ///
    /// - Parameter author: whose statuses; everybody's if nil.
    static func visible(
        to viewer: UserAddress, of author: UserAddress?, maxItems: Int, maxBytes: Int, now: WallTime,
        _ database: Database
    ) throws -> [ServerFrame.StatusItem] {
        // A payload is only read once it is known to fit: of a long list most does not.
        let columns = "s.rowid, IFNULL(LENGTH(s.payload), 0)"
        func key(_ row: Row) -> (row: Int64, bytes: Int) { (row.integer(0), row.int(1)) }
        let keys =
            if let author, author == viewer {
                try database.rows(
                    """
                    SELECT \(columns) FROM status s WHERE s.tenant = ? AND s.author = ? AND s.expires_ms > ?
                    ORDER BY s.time_ms DESC LIMIT ?
                    """, .text(viewer.tenant.rawValue), .text(viewer.user), .integer(now.milliseconds),
                    .integer(maxItems), map: key)
            } else if let author {
                try database.rows(
                    """
                    SELECT \(columns) FROM status s JOIN status_audience a USING (tenant, author, status)
                    WHERE s.tenant = ? AND s.author = ? AND a.viewer = ? AND s.expires_ms > ?
                    ORDER BY s.time_ms DESC LIMIT ?
                    """, .text(viewer.tenant.rawValue), .text(author.user), .text(viewer.user),
                    .integer(now.milliseconds), .integer(maxItems), map: key)
            } else {
                try database.rows(
                    """
                    SELECT \(columns) FROM feed f JOIN status s USING (tenant, author, status)
                    WHERE f.tenant = ? AND f.viewer = ? AND s.expires_ms > ? ORDER BY s.time_ms DESC LIMIT ?
                    """, .text(viewer.tenant.rawValue), .text(viewer.user), .integer(now.milliseconds),
                    .integer(maxItems), map: key)
            }
        var bytes = 0
        let fitting = keys.prefix { key in
            bytes += 256 + key.bytes
            return bytes <= maxBytes
        }
        return try fitting.compactMap { key in
            try database.first(
                "SELECT status, author, media, payload, time_ms, expires_ms FROM status WHERE rowid = ?",
                .integer(key.row), map: item)
        }
    }

    private static func item(_ row: Row) throws -> ServerFrame.StatusItem {
        guard let status = UUID(bytes: row.blob(0)) else {
            throw EdgeError(.corrupt, "a status in the database is damaged", side: .internal)
        }
        return ServerFrame.StatusItem(
            status: status, user: row.text(1), media: row.optionalBlob(2).flatMap { MediaID(bytes: $0) },
            payload: row.optionalBlob(3), time: WallTime(milliseconds: row.integer(4)),
            expiresAt: WallTime(milliseconds: row.integer(5)))
    }

    /// - Returns: whether there may be more.
    static func sweep(now: WallTime, limit: Int, _ database: Database) throws -> Bool {
        let feed = try database.run(
            """
            DELETE FROM feed WHERE (tenant, viewer, author, status) IN
                (SELECT tenant, viewer, author, status FROM feed WHERE expires_ms <= ? LIMIT ?)
            """, .integer(now.milliseconds), .integer(limit))
        let shown = try database.run(
            """
            DELETE FROM shown WHERE (tenant, media, user, author, status) IN
                (SELECT tenant, media, user, author, status FROM shown WHERE expires_ms <= ? LIMIT ?)
            """, .integer(now.milliseconds), .integer(limit))
        return feed == limit || shown == limit
    }
}
