package import Base
package import Wire

/// The central's media directory, as this service uses it.
///
/// Everything throws `EdgeError`: `notFound` for absent and not allowed alike, `unavailable`, `timeout` or `closed` from
/// `upstream` while the central cannot be reached.
package protocol MediaDirectory: Sendable {
    /// The central's clock; nil while its offset is not known well enough, and then nothing counts as unexpired.
    var centralTime: WallTime? { get }

    func register(_ media: MediaRegister) async throws -> MediaRegistered
    func lookup(_ lookup: MediaLookup) async throws -> MediaFound
    func grant(_ grant: MediaGrant) async throws
    func release(_ release: MediaRelease) async throws
    /// Tells that this node has an object on its disk, or no longer has it. Lost while the uplink is down.
    func hold(object: UUID, holds: Bool) async
}

extension EdgeError {
    /// Whether the central could not be asked, so that what is known from before may be used.
    var isOutage: Bool { side == .upstream && (kind == .unavailable || kind == .timeout || kind == .closed) }
}
