import Base
import Crypto
import Runtime
import Synchronization
import Wire

/// Answers of the directory, kept for their lease per authorization, media and variant.
///
/// They hold object keys, in memory alone. While the central cannot be reached a lease that has ended is good for the
/// configured grace; nothing is ever good past its expiry, judged by the central's clock.
final class Leases: Sendable {
    private struct Key: Hashable {
        var authorization: [UInt8]
        var media: MediaID
        var variant: String
    }

    private struct Lease {
        var found: MediaFound
        var end: MonotonicInstant
    }

    /// Two generations: when the young one is full it becomes the old one, and the old one goes.
    private struct Table {
        var young: [Key: Lease] = [:]
        var old: [Key: Lease] = [:]
    }

    private let directory: any MediaDirectory
    private let configuration: MediaService.Configuration
    private let clock: @Sendable () -> MonotonicInstant
    private let table = Mutex(Table())

    init(
        directory: any MediaDirectory, configuration: MediaService.Configuration,
        clock: @escaping @Sendable () -> MonotonicInstant
    ) {
        self.directory = directory
        self.configuration = configuration
        self.clock = clock
    }

    /// - Parameter wait: how long the central may wait for a variant that is not there yet.
    /// - Throws: `EdgeError`; `notFound` for absent, expired and not allowed alike.
    func lookup(
        _ authorization: MediaAuthorization, _ media: MediaID, variant: String = "", wait: Duration = .zero
    ) async throws -> MediaFound {
        let key = Key(authorization: Self.fingerprint(authorization), media: media, variant: variant)
        let held = table.withLock { $0.young[key] ?? $0.old[key] }
        if let held, clock() < held.end { return try unexpired(held.found) }
        do {
            let asked = clock()
            let found = try await directory.lookup(
                MediaLookup(
                    authorization: authorization, media: media, variant: variant,
                    waitMilliseconds: UInt32(clamping: wait.milliseconds)))
            let lease = Lease(found: found, end: asked + .milliseconds(Int64(min(found.leaseMilliseconds, 60_000))))
            table.withLock { table in
                if table.young.count >= configuration.maxLeases / 2 {
                    table.old = table.young
                    table.young = [:]
                }
                table.young[key] = lease
            }
            return try unexpired(found)
        } catch let error as EdgeError {
            if error.isOutage, let held, clock() < held.end + .milliseconds(configuration.outageGraceMs) {
                return try unexpired(held.found)
            }
            guard error.kind == .notFound else { throw error }
            forget(key)
            // One text for all that is not there.
            throw MediaProblem.notFound
        }
    }

    /// What this node was told about an object is no longer good.
    func forget(objects: Set<UUID>) {
        table.withLock { table in
            table.young = table.young.filter { !objects.contains($0.value.found.object) }
            table.old = table.old.filter { !objects.contains($0.value.found.object) }
        }
    }

    /// What this node was told about a media is no longer good.
    func forget(_ media: MediaID) {
        table.withLock { table in
            table.young = table.young.filter { $0.key.media != media }
            table.old = table.old.filter { $0.key.media != media }
        }
    }

    private func forget(_ key: Key) {
        table.withLock { table in
            table.young[key] = nil
            table.old[key] = nil
        }
    }

    private func unexpired(_ found: MediaFound) throws -> MediaFound {
        guard let expiresAt = found.expiresAt else { return found }
        guard let time = directory.centralTime else {
            throw EdgeError(
                .unavailable, "the central's clock is not known well enough to tell what has expired", side: .upstream,
                isRetryable: true)
        }
        guard time < expiresAt else { throw MediaProblem.notFound }
        return found
    }

    private static func fingerprint(_ authorization: MediaAuthorization) -> [UInt8] {
        switch authorization {
        case .token(let token): Digest.sha256(Array("token \(token)".utf8))
        case .signedPath(let path):
            Digest.sha256(Array("path \(path.keyID).\(path.expiresAtSeconds).".utf8) + path.signature)
        }
    }
}
