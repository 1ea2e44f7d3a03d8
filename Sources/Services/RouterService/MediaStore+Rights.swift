import Base
import RouterEngine
import SQLite
import Wire

extension MediaStore {
    // MARK: References

    static func reference(of user: UserAddress, _ content: Content, _ database: Database) throws -> MediaRules
        .Reference?
    {
        let key = content.key
        return try database.first(
            "SELECT expires_ms FROM reference WHERE tenant = ? AND media = ? AND mode = ? AND user = ?", key.tenant,
            key.media, key.mode, .text(user.user)
        ) { MediaRules.Reference(expiresAt: expiry($0, 0)) }
    }

    /// Gives a user a reference, or lengthens the one that there is.
    static func refer(
        _ user: UserAddress, to content: Content, until: MediaRules.Expiry, _ database: Database
    ) throws {
        let key = content.key
        let expiresAt =
            try reference(of: user, content, database).map { MediaRules.later($0.expiresAt, until) } ?? until
        try database.run(
            "INSERT OR REPLACE INTO reference VALUES (?, ?, ?, ?, ?)", key.tenant, key.media, key.mode,
            .text(user.user),
            .optional(expiresAt?.milliseconds))
    }

    /// The longest life among the references.
    ///
    /// - Returns: nil if there is none left.
    static func lastReference(to content: Content, now: WallTime, _ database: Database) throws -> MediaRules.Reference?
    {
        let key = content.key
        let references = try database.first(
            """
            SELECT COUNT(*), COUNT(expires_ms), MAX(expires_ms) FROM reference
            WHERE tenant = ? AND media = ? AND mode = ? AND (expires_ms IS NULL OR expires_ms > ?)
            """, key.tenant, key.media, key.mode, .integer(now.milliseconds)
        ) { (count: $0.int(0), expiring: $0.int(1), last: expiry($0, 2)) }
        guard let references, references.count > 0 else { return nil }
        return MediaRules.Reference(expiresAt: references.expiring < references.count ? nil : references.last)
    }

    /// Drops a user's reference; the object goes with the last one.
    ///
    /// - Returns: whether there was one.
    static func release(
        _ user: UserAddress, from content: Content, now: WallTime, _ vault: KeyVault, _ purges: inout Purges,
        _ database: Database
    ) throws -> Bool {
        let key = content.key
        guard let reference = try reference(of: user, content, database) else { return false }
        try database.run(
            "DELETE FROM reference WHERE tenant = ? AND media = ? AND mode = ? AND user = ?", key.tenant, key.media,
            key.mode, .text(user.user))
        if let last = try lastReference(to: content, now: now, database) {
            try setExpiry(last.expiresAt, of: content, vault, database)
        } else {
            try deleteAll(content, now: now, &purges, database)
        }
        return MediaRules.isLive(reference.expiresAt, now: now)
    }

    // MARK: Reading

    /// By what right a request comes, as far as it can be told without the directory.
    enum Asker: Sendable {
        case user(UserAddress)
        case signedPath(tenant: Tenant, until: WallTime, maxBytes: Int64)

        var tenant: Tenant {
            switch self {
            case .user(let user): user.tenant
            case .signedPath(let tenant, _, _): tenant
            }
        }
    }

    struct Granted: Sendable {
        var content: Content
        var original: Object
        var grant: MediaRules.Grant
    }

    /// The content that the asker may see, managed before sealed.
    static func granted(_ media: MediaID, _ asker: Asker, now: WallTime, _ database: Database) throws -> Granted? {
        for mode in [MediaMode.managed, .sealed] {
            let content = Content(tenant: asker.tenant, media: media, mode: mode)
            let rights = try rights(of: asker, to: content, now: now, database)
            guard let original = try object(content, variant: "", database) else { continue }
            guard let grant = MediaRules.grant(rights, mode: mode, expiresAt: original.expiresAt, now: now) else {
                continue
            }
            return Granted(content: content, original: original, grant: grant)
        }
        return nil
    }

    private static func rights(
        of asker: Asker, to content: Content, now: WallTime, _ database: Database
    ) throws -> MediaRules.Rights {
        var rights = MediaRules.Rights()
        switch asker {
        case .signedPath(_, let until, _): rights.signedUntil = until
        case .user(let user):
            rights.tenantReader = true
            rights.reference = try reference(of: user, content, database)
            rights.shownUntil = try database.first(
                "SELECT MAX(expires_ms) FROM shown WHERE tenant = ? AND media = ? AND user = ? AND expires_ms > ?",
                content.key.tenant, content.key.media, .text(user.user), .integer(now.milliseconds)
            ) { expiry($0, 0) }.flatMap { $0 }
        }
        return rights
    }

    /// Whether a user may show the media in a status: a reference of their own, or knowing a sealed one's id. What a status
    /// shows them they cannot pass on.
    static func mayShow(_ media: MediaID, _ user: UserAddress, now: WallTime, _ database: Database) throws -> Bool {
        for mode in MediaMode.allCases {
            let content = Content(tenant: user.tenant, media: media, mode: mode)
            var rights = MediaRules.Rights()
            rights.tenantReader = true
            rights.reference = try reference(of: user, content, database)
            guard let original = try object(content, variant: "", database) else { continue }
            if MediaRules.grant(rights, mode: mode, expiresAt: original.expiresAt, now: now) != nil { return true }
        }
        return false
    }
}
