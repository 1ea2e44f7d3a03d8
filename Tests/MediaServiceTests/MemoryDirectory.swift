import Base
import Synchronization
import Wire

@testable import MediaService

/// A directory in memory, as a central would keep it, that a test can take offline.
final class MemoryDirectory: Sendable {
    struct Entry: Sendable {
        var register: MediaRegister
        var holders: Set<String>
        var expiresAt: WallTime?
        var readers: Set<String>
    }

    struct State: Sendable {
        var entries: [String: Entry] = [:]
        var isDown = false
        var isClockKnown = true
        var time = WallTime(milliseconds: 1_000_000)
        var lookups = 0
        var registrations = 0
        var refusal: EdgeError?
        var leaseMilliseconds: UInt32 = 60_000
        /// Who a token belongs to; one that is not here is the user's own name.
        var users: [String: String] = [:]
        /// The one good signature of paths.
        var signature = [UInt8](repeating: 7, count: 32)
        /// Where a node's siblings reach it.
        var addresses: [String: String] = [:]

        func user(_ token: String) -> String { users[token] ?? token }
    }

    let state = Mutex(State())
    /// Runs between a registration and its answer.
    let afterRegistration = Mutex<(@Sendable (MediaRegister) async throws -> Void)?>(nil)

    func view(of node: String) -> NodeView { NodeView(directory: self, node: node) }

    func set(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    static func key(_ media: MediaID, _ variant: String) -> String { "\(media)/\(variant)" }

    /// What one node sees of it.
    struct NodeView: MediaDirectory {
        let directory: MemoryDirectory
        let node: String

        var centralTime: WallTime? { directory.state.withLock { $0.isClockKnown ? $0.time : nil } }

        private func up<Value>(_ body: (inout State) throws -> Value) throws -> Value {
            try directory.state.withLock { state in
                if state.isDown { throw EdgeError(.unavailable, "down", side: .upstream, isRetryable: true) }
                return try body(&state)
            }
        }

        func register(_ media: MediaRegister) async throws -> MediaRegistered {
            let registered = try enter(media)
            if let hook = directory.afterRegistration.withLock({ $0 }) { try await hook(media) }
            return registered
        }

        private func enter(_ media: MediaRegister) throws -> MediaRegistered {
            try up { state in
                state.registrations += 1
                if let refusal = state.refusal { throw refusal }
                let key = MemoryDirectory.key(media.media, media.variant)
                let expiresAt: WallTime? =
                    if case .seconds(let seconds) = media.retention { state.time + .seconds(seconds) } else { nil }
                if var entry = state.entries[key], entry.register.object == media.object || !entry.holders.isEmpty {
                    if let token = media.token { entry.readers.insert(state.user(token)) }
                    if entry.register.object == media.object { entry.holders.insert(node) }
                    state.entries[key] = entry
                    return MediaRegistered(object: entry.register.object, expiresAt: entry.expiresAt)
                }
                state.entries[key] = Entry(
                    register: media, holders: [node], expiresAt: expiresAt,
                    readers: media.token.map { [state.user($0)] } ?? [])
                return MediaRegistered(object: media.object, expiresAt: expiresAt)
            }
        }

        func lookup(_ lookup: MediaLookup) async throws -> MediaFound {
            try up { state in
                state.lookups += 1
                guard let entry = state.entries[MemoryDirectory.key(lookup.media, lookup.variant)],
                    let original = state.entries[MemoryDirectory.key(lookup.media, "")]
                else { throw EdgeError(.notFound, "absent") }
                if case .token(let token) = lookup.authorization, !original.readers.contains(state.user(token)) {
                    throw EdgeError(.notFound, "absent")
                }
                if case .signedPath(let path) = lookup.authorization {
                    guard path.keyID == "k", path.signature == state.signature,
                        path.pathPrefix == "/media/\(lookup.media)"
                    else { throw EdgeError(.notFound, "absent") }
                }
                if let expiresAt = entry.expiresAt, state.time >= expiresAt { throw EdgeError(.notFound, "absent") }
                let register = entry.register
                return MediaFound(
                    object: register.object, sizeBytes: register.sizeBytes, storedBytes: register.storedBytes,
                    mode: register.mode, contentType: register.contentType, filename: register.filename,
                    manifestRoot: register.manifestRoot, objectKey: register.objectKey, expiresAt: entry.expiresAt,
                    leaseMilliseconds: state.leaseMilliseconds, noStore: false,
                    holders: entry.holders.map {
                        EdgeDescription(name: $0, region: "r", siblingAddress: state.addresses[$0] ?? $0)
                    })
            }
        }

        func grant(_ grant: MediaGrant) async throws {
            try up { state in
                let key = MemoryDirectory.key(grant.media, "")
                guard state.entries[key]?.readers.contains(state.user(grant.token)) == true else {
                    throw EdgeError(.notFound, "absent")
                }
                for user in grant.users { state.entries[key]?.readers.insert(user) }
            }
        }

        func release(_ release: MediaRelease) async throws {
            try up { state in
                let key = MemoryDirectory.key(release.media, "")
                let user = state.user(release.token)
                guard state.entries[key]?.readers.remove(user) != nil else {
                    throw EdgeError(.notFound, "absent")
                }
            }
        }

        func hold(object: UUID, holds: Bool) async {
            directory.set { state in
                for (key, entry) in state.entries where entry.register.object == object {
                    if holds {
                        state.entries[key]?.holders.insert(node)
                    } else {
                        state.entries[key]?.holders.remove(node)
                    }
                }
            }
        }
    }
}
