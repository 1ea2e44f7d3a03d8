import Base
import RouterEngine
import SQLite

/// Effects on other slots, between the transaction that decided them and the one that applies them.
enum OutboxStore {
    /// Writes the effects of one decision of a slot.
    static func append(_ entries: [OutboxEntry], from slot: Slot, _ database: Database) throws {
        let slotNumber = SQLValue.integer(Int(slot.number))
        try database.run("INSERT OR IGNORE INTO slot_sequence VALUES (?, 0)", slotNumber)
        let sequence = try database.first(
            "UPDATE slot_sequence SET last = last + 1 WHERE slot = ? RETURNING last", slotNumber
        ) { $0.integer(0) }
        for (position, entry) in entries.enumerated() {
            let row = Fields(entry.effect)
            try database.run(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", slotNumber, .optional(sequence),
                .integer(position), .text(row.kind), .text(row.author.tenant.rawValue), .text(row.author.user),
                .blob(row.status.bytes), .optional(row.viewer?.user), .optional(row.media?.bytes),
                .optional(row.users?.map(\.user).joined(separator: "\n")), .optional(row.expiresAt?.milliseconds))
        }
    }

    /// Applies the oldest entries and deletes them.
    ///
    /// - Returns: how many there were; fewer than `limit` when none are left.
    static func apply(limit: Int, _ database: Database) throws -> Int {
        let rows = try database.rows(
            """
            SELECT slot, sequence, position, kind, tenant, author, status, viewer, media, users, expires_ms
            FROM outbox ORDER BY slot, sequence, position LIMIT ?
            """, .integer(limit)
        ) { row in
            (slot: row.integer(0), sequence: row.integer(1), position: row.integer(2), fields: Fields(row))
        }
        for row in rows {
            guard let fields = row.fields, let effect = fields.effect else {
                throw EdgeError(.corrupt, "an outbox entry in the database is damaged", side: .internal)
            }
            try apply(effect, database)
            try database.run(
                "DELETE FROM outbox WHERE slot = ? AND sequence = ? AND position = ?", .integer(row.slot),
                .integer(row.sequence), .integer(row.position))
        }
        return rows.count
    }

    private static func apply(_ effect: OutboxEntry.Effect, _ database: Database) throws {
        switch effect {
        case .feedStatus(let viewer, let status, let author, let expiresAt):
            try database.run(
                "INSERT OR REPLACE INTO feed VALUES (?, ?, ?, ?, ?)", .text(viewer.tenant.rawValue), .text(viewer.user),
                .text(author.user), .blob(status.bytes), .integer(expiresAt.milliseconds))
        case .unfeedStatus(let viewer, let status, let author):
            try database.run(
                "DELETE FROM feed WHERE tenant = ? AND viewer = ? AND author = ? AND status = ?",
                .text(viewer.tenant.rawValue), .text(viewer.user), .text(author.user), .blob(status.bytes))
        case .showMedia(let media, let status, let author, let users, let expiresAt):
            for user in users {
                try database.run(
                    "INSERT OR REPLACE INTO shown VALUES (?, ?, ?, ?, ?, ?)", .text(author.tenant.rawValue),
                    .blob(media.bytes), .text(user.user), .text(author.user), .blob(status.bytes),
                    .integer(expiresAt.milliseconds))
            }
        case .hideMedia(let media, let status, let author):
            try database.run(
                "DELETE FROM shown WHERE tenant = ? AND media = ? AND author = ? AND status = ?",
                .text(author.tenant.rawValue), .blob(media.bytes), .text(author.user), .blob(status.bytes))
        }
    }

    /// The columns of an entry.
    private struct Fields {
        var kind: String
        var author: UserAddress
        var status: UUID
        var viewer: UserAddress?
        var media: MediaID?
        var users: [UserAddress]?
        var expiresAt: WallTime?

        init(_ effect: OutboxEntry.Effect) {
            switch effect {
            case .feedStatus(let viewer, let status, let author, let expiresAt):
                (kind, self.author, self.status, self.viewer, self.expiresAt) = (
                    "feed", author, status, viewer, expiresAt
                )
            case .unfeedStatus(let viewer, let status, let author):
                (kind, self.author, self.status, self.viewer) = ("unfeed", author, status, viewer)
            case .showMedia(let media, let status, let author, let users, let expiresAt):
                (kind, self.author, self.status, self.media) = ("show", author, status, media)
                (self.users, self.expiresAt) = (users, expiresAt)
            case .hideMedia(let media, let status, let author):
                (kind, self.author, self.status, self.media) = ("hide", author, status, media)
            }
        }

        init?(_ row: Row) {
            guard let tenant = Tenant(row.text(4)), let author = UserAddress(tenant: tenant, user: row.text(5)),
                let status = UUID(bytes: row.blob(6))
            else { return nil }
            kind = row.text(3)
            self.author = author
            self.status = status
            viewer = row.optionalText(7).flatMap { UserAddress(tenant: tenant, user: $0) }
            media = row.optionalBlob(8).flatMap { MediaID(bytes: $0) }
            users = row.optionalText(9)?.split(separator: "\n").compactMap { UserAddress(tenant: tenant, user: $0) }
            expiresAt = row.optionalInteger(10).map { WallTime(milliseconds: $0) }
        }

        var effect: OutboxEntry.Effect? {
            switch (kind, viewer, media, users, expiresAt) {
            case ("feed", let viewer?, _, _, let expiresAt?):
                .feedStatus(viewer: viewer, status: status, author: author, expiresAt: expiresAt)
            case ("unfeed", let viewer?, _, _, _): .unfeedStatus(viewer: viewer, status: status, author: author)
            case ("show", _, let media?, let users?, let expiresAt?):
                .showMedia(media: media, status: status, author: author, users: users, expiresAt: expiresAt)
            case ("hide", _, let media?, _, _): .hideMedia(media: media, status: status, author: author)
            default: nil
            }
        }
    }
}
