package import Base

/// Decides what a device's connection does to its record: a device registers at its first connection and takes over the
/// mail that waited; a known one goes on after what it has acknowledged, or at its resume point.
///
/// A resume point moves the place where deliveries go on, and deletes nothing: an edge that opens a session again names what
/// it has sent, which the client may never have received. Only an acknowledgement says that.
package struct DeviceRegistration: Sendable {
    package struct Configuration: Equatable, Sendable {
        package var maxDevicesPerUser: Int
        /// How long after a welcome its resume token is taken.
        package var resumeLifetimeMs: Int64

        package init(maxDevicesPerUser: Int = 8, resumeLifetimeMs: Int64 = 7 * 86_400_000) {
            self.maxDevicesPerUser = maxDevicesPerUser
            self.resumeLifetimeMs = resumeLifetimeMs
        }
    }

    /// What the decision reads of one device.
    package struct Record: Equatable, Sendable {
        package var device: String
        package var lastSequence: UInt64
        package var acknowledged: UInt64
        /// SHA-256 of the resume tokens of the last two welcomes, newest first. The last but one counts because the
        /// newest welcome may have been lost on its way.
        package var resumeTokenHashes: [[UInt8]]
        package var resumeTokenTime: WallTime

        package init(
            device: String, lastSequence: UInt64, acknowledged: UInt64, resumeTokenHashes: [[UInt8]],
            resumeTokenTime: WallTime
        ) {
            self.device = device
            self.lastSequence = lastSequence
            self.acknowledged = acknowledged
            self.resumeTokenHashes = resumeTokenHashes
            self.resumeTokenTime = resumeTokenTime
        }
    }

    package struct Outcome: Equatable, Sendable {
        package enum Change: Equatable, Sendable {
            case none
            case register
            /// The waiting inbox becomes the device's.
            case takeOverWaiting
        }

        package var change: Change
        /// Whether the resume point was taken.
        package var resumed: Bool
        /// Deliveries up to and including this one have been acknowledged.
        package var acknowledged: UInt64
        /// Deliveries go on after this one.
        package var position: UInt64
        package var lastSequence: UInt64
    }

    private let configuration: Configuration

    package init(configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// - Parameters:
    ///   - records: every device of the user, and the waiting inbox if there is one.
    ///   - resume: the client's resume point, with the token's SHA-256.
    package func connect(
        _ device: DeviceAddress, records: [Record], resume: (tokenHash: [UInt8], sequence: UInt64)?, now: WallTime
    ) throws(RouterError) -> Outcome {
        guard let record = records.first(where: { $0.device == device.device }) else {
            let waiting = records.first { $0.device == InboxEngine.waiting }
            guard records.count - (waiting == nil ? 0 : 1) < configuration.maxDevicesPerUser else {
                throw .tooManyDevices(allowed: configuration.maxDevicesPerUser)
            }
            guard let waiting else {
                return Outcome(change: .register, resumed: false, acknowledged: 0, position: 0, lastSequence: 0)
            }
            return Outcome(
                change: .takeOverWaiting, resumed: false, acknowledged: 0, position: 0,
                lastSequence: waiting.lastSequence)
        }
        var outcome = Outcome(
            change: .none, resumed: false, acknowledged: record.acknowledged, position: record.acknowledged,
            lastSequence: record.lastSequence)
        if let resume, now < record.resumeTokenTime + .milliseconds(configuration.resumeLifetimeMs),
            record.resumeTokenHashes.contains(where: { constantTimeEquals($0, resume.tokenHash) }),
            // Nobody holds what was never assigned: a client that says so has numbers of another history than this one,
            // and its edge would take all that comes for known.
            resume.sequence <= record.lastSequence
        {
            outcome.resumed = true
            outcome.position = max(record.acknowledged, resume.sequence)
        }
        return outcome
    }
}
