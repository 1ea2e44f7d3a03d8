import Base
import RouterEngine
import SQLite
import Tokens
import UplinkService
import Wire

extension RouterService {
    // MARK: Registering

    func registerMedia(_ register: MediaRegister, _ link: UplinkLink) async throws -> MediaRegistered {
        try check(register)
        guard register.variant.isEmpty else { return try await registerDerivative(register, link) }
        let now = now()
        guard let token = register.token else {
            throw EdgeError(.unauthenticated, "an original needs its uploader's token")
        }
        let age = (now - register.uploadCreatedAt).milliseconds
        guard age >= -60_000, age <= configuration.maxUploadAgeMs else {
            throw EdgeError(.unauthenticated, "the upload began too long ago, or ahead of time")
        }
        let user = try uploaderClaims(of: token, from: register.uploadCreatedAt, to: now).owner
        let until = try expiry(of: register.retention, now: now)
        let content = MediaStore.Content(tenant: user.tenant, media: register.media, mode: register.mode)
        let (vault, edge, connected) = (vault, link.edgeKey, Set(hub.links.map(\.edgeKey)))
        let (registered, purges) = try await writer.write { database in
            var purges: MediaStore.Purges = [:]
            let registered = try Self.enter(
                register, as: content, of: user, until: until, edge: edge, connected: connected, now: now, vault,
                &purges,
                database)
            return (registered, purges)
        }
        metrics.mediaRegistered.increment()
        if let expiresAt = registered.expiresAt { deadlines.setIfEarlier(.media, at: expiresAt) }
        purge(purges)
        return registered
    }

    /// The claims of a token that was good at some time of the upload: the one that it began with may have run out under it,
    /// and the one that it ended with may be younger than its beginning.
    private func uploaderClaims(of token: String, from created: WallTime, to now: WallTime) throws -> Claims {
        var (earliest, latest) = (min(created, now), now)
        var time = now
        while true {
            do throws(TokenError) {
                let claims = try verifier.verify(token, now: time)
                guard claims.allows("media:write") else { break }
                return claims
            } catch {
                switch error {
                case .expired: latest = time + .milliseconds(-1)
                case .notYetValid: earliest = time + .milliseconds(1)
                default: throw EdgeError(.unauthenticated, "\(error)")
                }
                guard earliest <= latest else { throw EdgeError(.unauthenticated, "\(error)") }
                time = WallTime(milliseconds: earliest.milliseconds + (latest - earliest).milliseconds / 2)
            }
        }
        throw EdgeError(.forbidden, "the token lacks the scope media:write")
    }

    private static func enter(
        _ register: MediaRegister, as content: MediaStore.Content, of user: UserAddress, until: MediaRules.Expiry,
        edge: String, connected: Set<String>, now: WallTime, _ vault: KeyVault, _ purges: inout MediaStore.Purges,
        _ database: Database
    ) throws -> MediaRegistered {
        var existing = try MediaStore.object(content, variant: "", database)
        if let old = existing, !MediaRules.isLive(old.expiresAt, now: now) {
            try MediaStore.deleteAll(content, now: now, &purges, database)
            existing = nil
        }
        try MediaStore.refer(user, to: content, until: until, database)
        let expiresAt = try MediaStore.lastReference(to: content, now: now, database)?.expiresAt ?? until
        if let old = existing {
            let holders = try MediaStore.holders(of: old.object, database)
            if old.object == register.object || holders.contains(where: { $0 == edge || connected.contains($0) }) {
                try MediaStore.setExpiry(expiresAt, of: content, vault, database)
                if old.object == register.object { _ = try MediaStore.hold(old.object, edge: edge, database) }
                return MediaRegistered(object: old.object, expiresAt: expiresAt)
            }
            // Nobody who is there has the bytes any more: the new ones take their place.
            try MediaStore.delete(old, of: content, now: now, &purges, database)
        }
        try insert(register, as: content, expiresAt: expiresAt, edge: edge, now: now, vault, database)
        try MediaStore.setExpiry(expiresAt, of: content, vault, database)
        return MediaRegistered(object: register.object, expiresAt: expiresAt)
    }

    private static func insert(
        _ register: MediaRegister, as content: MediaStore.Content, expiresAt: MediaRules.Expiry, edge: String,
        now: WallTime, _ vault: KeyVault, _ database: Database
    ) throws {
        let hour = MediaRules.bucketHour(expiresAt)
        let wrapped = try register.objectKey.map {
            try vault.wrap($0, object: register.object, tenant: content.tenant, hour: hour, database)
        }
        try MediaStore.insert(
            MediaStore.Object(
                variant: register.variant, object: register.object, sizeBytes: register.sizeBytes,
                storedBytes: register.storedBytes, contentType: register.contentType, filename: register.filename,
                manifestRoot: register.manifestRoot, wrappedKey: wrapped, bucketHour: hour, expiresAt: expiresAt),
            of: content, now: now, database)
        _ = try MediaStore.hold(register.object, edge: edge, database)
    }

    /// A node registers what it derived from a media that it holds. It lives as long as that.
    private func registerDerivative(_ register: MediaRegister, _ link: UplinkLink) async throws -> MediaRegistered {
        guard register.mode == .managed else { throw EdgeError(.invalid, "nothing is derived from sealed media") }
        let (vault, edge, now) = (vault, link.edgeKey, now())
        let (registered, tenant) = try await writer.write { database -> (MediaRegistered, Tenant) in
            let holding = try database.rows(
                """
                SELECT tenant FROM media JOIN holder USING (object)
                WHERE media = ? AND mode = 'managed' AND variant = '' AND edge = ?
                """, .blob(register.media.bytes), .text(edge)
            ) { Tenant($0.text(0)) }.compactMap { $0 }
            let contents = holding.map { MediaStore.Content(tenant: $0, media: register.media, mode: .managed) }
            // Two tenants may have the same content: each has derivatives of its own.
            var first: (MediaRegistered, Tenant)?
            for content in contents {
                guard let original = try MediaStore.object(content, variant: "", database),
                    MediaRules.isLive(original.expiresAt, now: now)
                else { continue }
                if let old = try MediaStore.object(content, variant: register.variant, database) {
                    first = first ?? (MediaRegistered(object: old.object, expiresAt: old.expiresAt), content.tenant)
                    continue
                }
                try Self.insert(
                    register, as: content, expiresAt: original.expiresAt, edge: edge, now: now, vault, database)
                return (MediaRegistered(object: register.object, expiresAt: original.expiresAt), content.tenant)
            }
            guard let first else { throw EdgeError(.notFound, "this edge holds no such media") }
            return first
        }
        waiters.wake(.init(tenant: tenant, media: register.media, variant: register.variant))
        return registered
    }

    private func check(_ register: MediaRegister) throws {
        // Other edges compute with the size: what none can have is not passed on.
        guard (0..<1 << 56).contains(register.sizeBytes), register.storedBytes >= 0,
            register.manifestRoot.count == 32,
            register.objectKey.map({ $0.count == 32 }) ?? true,
            (register.objectKey == nil) == (register.mode == .sealed),
            (1...256).contains(register.contentType.utf8.count), (register.filename?.utf8.count ?? 0) <= 1024,
            register.variant.utf8.count <= 128
        else { throw EdgeError(.invalid, "the registration is malformed") }
    }

    private func expiry(of retention: MediaRetention, now: WallTime) throws -> MediaRules.Expiry {
        switch retention {
        case .pinned: return nil
        case .seconds(let seconds):
            guard seconds > 0 else {
                throw EdgeError(.invalid, "the retention must be `pinned` or a number of seconds")
            }
            // Longer than is kept here: the bytes have come, so the answer says how long they stay.
            return now + .seconds(min(seconds, configuration.maxRetentionMs / 1000))
        }
    }

    // MARK: References

    func grantMedia(_ grant: MediaGrant) async throws {
        let now = now()
        let granter = try claims(of: grant.token, scope: "media:write", now: now).owner
        guard (1...configuration.maxGrantUsers).contains(grant.users.count) else {
            throw EdgeError(.invalid, "a grant names 1 to \(configuration.maxGrantUsers) users")
        }
        let users = try grant.users.map { name in
            guard let user = UserAddress(tenant: granter.tenant, user: name) else {
                throw EdgeError(.invalid, RouterError.invalidUser.message)
            }
            return user
        }
        if let seconds = grant.expiresInSeconds, seconds <= 0 || seconds > configuration.maxRetentionMs / 1000 {
            throw EdgeError(.invalid, "a grant lives 1 to \(configuration.maxRetentionMs / 1000) seconds")
        }
        let asked = grant.expiresInSeconds.map { now + .seconds($0) }
        let vault = vault
        try await writer.write { database in
            var hasReference = false
            for mode in MediaMode.allCases {
                let content = MediaStore.Content(tenant: granter.tenant, media: grant.media, mode: mode)
                guard let own = try MediaStore.reference(of: granter, content, database),
                    MediaRules.isLive(own.expiresAt, now: now)
                else { continue }
                hasReference = true
                // Nobody can give longer than they have.
                let until = MediaRules.earlier(own.expiresAt, asked)
                for user in users { try MediaStore.refer(user, to: content, until: until, database) }
                if let last = try MediaStore.lastReference(to: content, now: now, database) {
                    try MediaStore.setExpiry(last.expiresAt, of: content, vault, database)
                }
            }
            guard hasReference else { throw Self.noSuchMedia }
        }
    }

    func releaseMedia(_ release: MediaRelease) async throws {
        let now = now()
        let user = try claims(of: release.token, scope: "media:write", now: now).owner
        let vault = vault
        let purges = try await writer.write { database in
            var purges: MediaStore.Purges = [:]
            var hadReference = false
            for mode in MediaMode.allCases {
                let content = MediaStore.Content(tenant: user.tenant, media: release.media, mode: mode)
                if try MediaStore.release(user, from: content, now: now, vault, &purges, database) {
                    hadReference = true
                }
            }
            guard hadReference else { throw Self.noSuchMedia }
            return purges
        }
        deadlines.setIfEarlier(.media, at: now + .seconds(1))
        purge(purges)
    }

    static var noSuchMedia: EdgeError { EdgeError(.notFound, "no such media") }
}

extension UplinkLink {
    /// The edge's name in the directory.
    var edgeKey: String { "\(identity.region)/\(identity.name)" }
}
