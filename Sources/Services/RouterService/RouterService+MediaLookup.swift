import Base
import RouterEngine
import SQLite
import Tokens
import UplinkService
import Wire

extension RouterService {
    private enum Finding: Sendable {
        case nothing
        /// The media is there, the derivative is not.
        case noDerivative(MediaStore.Content)
        case found(Found)
    }

    private struct Found: Sendable {
        var granted: MediaStore.Granted
        var object: MediaStore.Object
        var objectKey: [UInt8]?
        var holders: [String]
        var derivatives: [MediaDerivative]
    }

    // MARK: Looking up

    func lookUpMedia(_ lookup: MediaLookup, _ link: UplinkLink) async throws -> MediaFound {
        let asker = try asker(lookup)
        let waitMs = min(Int64(lookup.waitMilliseconds), configuration.maxDerivativeWaitMs)
        let began = now()
        while true {
            // Entered before the directory is asked, so that a registration between the two is not missed.
            let mayWait = waitMs > 0 && !lookup.variant.isEmpty
            let ticket =
                mayWait
                ? waiters.enter(.init(tenant: asker.tenant, media: lookup.media, variant: lookup.variant)) : nil
            defer { if let ticket { waiters.leave(ticket) } }
            switch try await find(lookup, asker, now: now()) {
            case .found(let found):
                metrics.mediaFound.increment()
                return answer(found, link)
            case .nothing:
                metrics.mediaRefused.increment()
                throw Self.noSuchMedia
            case .noDerivative(let content):
                let left = waitMs - (now() - began).milliseconds
                guard content.mode == .managed, let ticket, left > 0 else {
                    throw EdgeError(.notFound, "there is no such derivative of the media")
                }
                await waiters.wait(ticket, for: .milliseconds(left))
            }
        }
    }

    private func asker(_ lookup: MediaLookup) throws -> MediaStore.Asker {
        switch lookup.authorization {
        case .token(let token): return .user(try claims(of: token, scope: "media:read", now: now()).owner)
        case .signedPath(let path):
            guard path.pathPrefix == "/media/\(lookup.media)", path.method == "GET" || path.method == "HEAD" else {
                throw Self.noSuchMedia
            }
            let signed = SignedPath(
                keyID: path.keyID, expiresAtSeconds: path.expiresAtSeconds, signature: path.signature,
                media: lookup.media)
            do throws(SignedPathError) {
                let access = try signed.verify(signedPathKeys, now: now())
                return .signedPath(tenant: access.tenant, until: access.expires, maxBytes: access.maxBytes)
            } catch {
                // The same as absent: a path that is no longer good does not tell whether the media is there.
                throw Self.noSuchMedia
            }
        }
    }

    private func find(_ lookup: MediaLookup, _ asker: MediaStore.Asker, now: WallTime) async throws -> Finding {
        let vault = vault
        return try await readers.read { database in
            guard let granted = try MediaStore.granted(lookup.media, asker, now: now, database) else { return .nothing }
            guard let object = try MediaStore.object(granted.content, variant: lookup.variant, database) else {
                return .noDerivative(granted.content)
            }
            if case .signedPath(_, _, let maxBytes) = asker, maxBytes > 0, object.sizeBytes > maxBytes {
                return .nothing
            }
            var key: [UInt8]?
            if let wrapped = object.wrappedKey {
                key = try vault.unwrap(
                    wrapped, object: object.object, tenant: granted.content.tenant, hour: object.bucketHour, database)
                // The hour is over: the object is gone, whatever its record says.
                guard key != nil else { return .nothing }
            }
            let derivatives = try MediaStore.objects(granted.content, database).filter { !$0.variant.isEmpty }
            return .found(
                Found(
                    granted: granted, object: object, objectKey: key,
                    holders: try MediaStore.holders(of: object.object, database),
                    derivatives: derivatives.map {
                        MediaDerivative(variant: $0.variant, sizeBytes: $0.sizeBytes, contentType: $0.contentType)
                    }))
        }
    }

    private func answer(_ found: Found, _ link: UplinkLink) -> MediaFound {
        let object = found.object
        let lease = MediaRules.leaseMs(
            until: found.granted.grant.until, objectExpiresAt: object.expiresAt, now: now(),
            maxLeaseMs: configuration.maxLeaseMs)
        let holders = hub.links.filter { found.holders.contains($0.edgeKey) }
            // Those in the asking edge's region first.
            .sorted {
                ($0.identity.region == link.identity.region ? 0 : 1, $0.id) < (
                    $1.identity.region == link.identity.region ? 0 : 1, $1.id
                )
            }
        return MediaFound(
            object: object.object, sizeBytes: object.sizeBytes, storedBytes: object.storedBytes,
            mode: found.granted.content.mode, contentType: object.contentType, filename: object.filename,
            manifestRoot: object.manifestRoot, objectKey: found.objectKey,
            // For the one who asks, it is gone when the right to it ends; no grace of an edge goes beyond that.
            expiresAt: MediaRules.earlier(found.granted.grant.until, object.expiresAt),
            leaseMilliseconds: UInt32(clamping: lease), noStore: found.granted.grant.noStore,
            holders: holders.map(\.node),
            derivatives: found.derivatives)
    }

    // MARK: Holding and purging

    /// Notes what an edge has on its disk. What the directory does not know the edge must delete.
    func holdMedia(_ object: UUID, holds: Bool, _ link: UplinkLink) {
        let edge = link.edgeKey
        do {
            try writer.submit(
                { database in
                    if holds { return try MediaStore.hold(object, edge: edge, database) }
                    try MediaStore.drop(object, edge: edge, database)
                    return true
                },
                completion: { [self] result in
                    switch result {
                    case .success(true): break
                    case .success(false): link.send(.mediaPurge(objects: [object]))
                    case .failure(let error): logFailure("a holder could not be noted", error)
                    }
                })
        } catch {
            logFailure("a holder could not be noted", error)
        }
    }

    /// Tells the edges that are connected; the others when they are.
    func purge(_ purges: MediaStore.Purges) {
        guard !purges.isEmpty else { return }
        metrics.mediaPurged.increment(by: UInt64(Set(purges.values.flatMap { $0 }).count))
        for link in hub.links {
            if let objects = purges[link.edgeKey] { send(objects, to: link) }
        }
        deadlines.setIfEarlier(.logTruncation, at: now() + .seconds(1))
    }

    func sendOutstandingPurges(to link: UplinkLink) {
        let edge = link.edgeKey
        try? readers.submit(
            { try MediaStore.outstandingPurges(of: edge, limit: 100_000, $0) },
            completion: { [self] result in
                if case .success(let objects) = result { send(objects, to: link) }
            })
    }

    private func send(_ objects: [UUID], to link: UplinkLink) {
        for start in stride(from: 0, to: objects.count, by: 1000) {
            link.send(.mediaPurge(objects: Array(objects[start..<min(start + 1000, objects.count)])))
        }
    }

    // MARK: Expiry

    /// Deletes what has expired, and the keys of the hours that are over.
    func expireMedia() {
        let (now, vault, limit) = (now(), vault, 200)
        do {
            try writer.submit(
                { database -> (MediaStore.Purges, WallTime?, Bool) in
                    var purges: MediaStore.Purges = [:]
                    let expired = try MediaStore.expired(now: now, limit: limit, database)
                    for content in expired { try MediaStore.deleteAll(content, now: now, &purges, database) }
                    let hasDestroyed = try vault.destroyBuckets(now: now, database) || !expired.isEmpty
                    return (purges, try MediaStore.nextDeadline(database), hasDestroyed)
                },
                completion: { [self] result in
                    switch result {
                    case .success(let (purges, next, hasDestroyed)):
                        purge(purges)
                        if hasDestroyed { deadlines.setIfEarlier(.logTruncation, at: now + .seconds(1)) }
                        if let next { deadlines.setIfEarlier(.media, at: next) }
                    case .failure(let error):
                        logFailure("expiring media failed", error)
                        deadlines.setIfEarlier(.media, at: now + .seconds(1))
                    }
                })
        } catch {
            deadlines.setIfEarlier(.media, at: now + .seconds(1))
        }
    }

    /// Deleted keys leave the write-ahead log too.
    func truncateLog() {
        Task { [self] in
            let isDone = (try? await writer.truncateLog()) ?? true
            if !isDone { deadlines.setIfEarlier(.logTruncation, at: now() + .seconds(1)) }
        }
    }
}
