import Base
package import Wire

/// What an edge's services see of its link to the central. `UplinkClient` is the real one.
package protocol Uplink: AnyObject, Sendable {
    var isConnected: Bool { get }

    /// The central's clock.
    var clock: CentralClock { get }

    /// The edges that were connected when the central last said so, this one among them.
    var edges: [EdgeDescription] { get }

    /// Asks the central.
    ///
    /// - Parameter timeout: nil for the configured one.
    /// - Returns: never `.failed`, which is thrown.
    /// - Throws: `EdgeError`: what the central answered (side `.peer`); `.unavailable` while the link is down or when it went down
    ///   before the answer, `.timeout`, `.exhausted` when too many requests are under way (side `.upstream`, retryable).
    func request(_ request: UplinkRequest, timeout: Duration?) async throws -> UplinkResponse

    /// Tells the central something, in order, without waiting. From any thread.
    ///
    /// - Returns: false when the link is down: the notice is lost.
    @discardableResult
    func send(_ notice: EdgeNotice) -> Bool

    /// Keeps the link up during a shutdown until `release`: for services that still need it while they drain.
    func hold()
    func release()

    /// Calls the closure with every event from now on, one after the other, on the link's loop; it must not block. Observers are
    /// added when the process starts, and never leave.
    func observe(_ observer: @escaping @Sendable (UplinkEvent) -> Void)
}

package enum UplinkEvent: Equatable, Sendable {
    /// The link is up. Sessions of an earlier link are gone.
    case connected(UplinkHelloAck)
    /// The link went down; nothing more comes of what was sent on it.
    case disconnected
    case notice(CentralNotice)
}

extension Uplink {
    package func openSession(_ open: SessionOpen) async throws -> SessionOpened {
        guard case .sessionOpened(let opened) = try await request(.sessionOpen(open), timeout: nil) else {
            throw unexpectedAnswer()
        }
        return opened
    }

    package func registerMedia(_ register: MediaRegister) async throws -> MediaRegistered {
        guard case .mediaRegistered(let registered) = try await request(.mediaRegister(register), timeout: nil) else {
            throw unexpectedAnswer()
        }
        return registered
    }

    /// Waits `lookup.waitMilliseconds` longer than other requests.
    package func lookUpMedia(_ lookup: MediaLookup) async throws -> MediaFound {
        let timeout: Duration? =
            lookup.waitMilliseconds == 0 ? nil : .milliseconds(Int64(lookup.waitMilliseconds)) + .seconds(10)
        guard case .mediaFound(let found) = try await request(.mediaLookup(lookup), timeout: timeout) else {
            throw unexpectedAnswer()
        }
        return found
    }

    package func grantMedia(_ grant: MediaGrant) async throws {
        guard case .ok = try await request(.mediaGrant(grant), timeout: nil) else { throw unexpectedAnswer() }
    }

    package func releaseMedia(_ release: MediaRelease) async throws {
        guard case .ok = try await request(.mediaRelease(release), timeout: nil) else { throw unexpectedAnswer() }
    }

    private func unexpectedAnswer() -> EdgeError {
        EdgeError(.corrupt, "the central answered something else than was asked", side: .upstream)
    }
}
