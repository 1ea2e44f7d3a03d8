package import Base
package import UplinkService
package import Wire

/// The media directory over the uplink.
package struct UplinkDirectory: MediaDirectory {
    private let uplink: any Uplink
    private let registerTimeout: Duration
    private let maxClockUncertainty: Duration

    /// - Parameter maxClockUncertainty: above it the central's time counts as unknown.
    package init(_ uplink: any Uplink, registerTimeout: Duration, maxClockUncertainty: Duration) {
        self.uplink = uplink
        self.registerTimeout = registerTimeout
        self.maxClockUncertainty = maxClockUncertainty
    }

    package var centralTime: WallTime? { uplink.clock.reading(within: maxClockUncertainty)?.latest }

    package func register(_ media: MediaRegister) async throws -> MediaRegistered {
        guard
            case .mediaRegistered(let registered) = try await uplink.request(
                .mediaRegister(media), timeout: registerTimeout)
        else { throw EdgeError(.corrupt, "the central answered something else than was asked", side: .upstream) }
        return registered
    }

    package func lookup(_ lookup: MediaLookup) async throws -> MediaFound { try await uplink.lookUpMedia(lookup) }
    package func grant(_ grant: MediaGrant) async throws { try await uplink.grantMedia(grant) }
    package func release(_ release: MediaRelease) async throws { try await uplink.releaseMedia(release) }
    package func hold(object: UUID, holds: Bool) async { uplink.send(.mediaHold(object: object, holds: holds)) }
}
