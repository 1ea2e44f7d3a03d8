import RouterEngine
import SQLite

extension RouterService {
    package struct Configuration: Equatable, Sendable {
        /// The file of all state. Its folder must exist.
        package var databasePath = "var/central/central.db"
        /// File of the root key: 32 bytes, readable by its owner alone.
        package var rootKeyPath = "var/central/root.key"
        /// Whether a root key is made when there is none. For development; in production a lost key must not pass silently.
        package var createsRootKey = false

        /// Devices that a user may register.
        package var maxDevicesPerUser = 8
        /// Deliveries that a device may leave unacknowledged.
        package var creditFrames = 64
        /// How long after a welcome its resume token is taken.
        package var resumeLifetimeMs: Int64 = 7 * 86_400_000
        /// Connected devices; above it a session is refused as exhausted.
        package var maxSessions = 262_144
        /// Writes of one session that may wait for the disk; above it its frames are refused as exhausted.
        package var maxPendingFramesPerSession = 256

        /// Messages kept for a device that is away; above it the oldest are dropped, which the device learns as a gap.
        package var maxMessagesPerDevice = 10_000
        /// Payload bytes kept for a device that is away, with the same policy.
        package var maxBytesPerDevice = 64 * 1024 * 1024
        /// Messages kept for the first device of a user who has none; above it senders are refused.
        package var maxWaitingMessages = 1000
        /// Payload bytes kept for the first device of a user who has none, with the same policy.
        package var maxWaitingBytes = 4 * 1024 * 1024
        /// Users without a device for whom mail waits, in each of the 4,096 slots.
        package var maxWaitingUsersPerSlot = 256
        /// How long a message is kept.
        package var messageLifetimeMs: Int64 = 30 * 86_400_000
        /// How long a message of class `call` is kept.
        package var callMessageLifetimeMs: Int64 = 60_000
        /// How long the ids of accepted frames are remembered.
        package var acceptedIdLifetimeMs: Int64 = 30 * 86_400_000

        /// How long an offer rings and waits for a device.
        package var offerHoldMs: Int64 = 60_000
        /// How long an answered call is known.
        package var callLifetimeMs: Int64 = 12 * 3_600_000
        /// Calls that ring or stand.
        package var maxCalls = 65_536
        /// Calls that a user has begun and that ring or stand.
        package var maxCallsPerUser = 256

        /// How long a status lives if its author does not say.
        package var statusLifetimeMs: Int64 = 86_400_000
        /// The longest life of a status.
        package var maxStatusLifetimeMs: Int64 = 7 * 86_400_000
        /// Live statuses of one author.
        package var maxStatusesPerUser = 100
        /// Users in the audience of a status.
        package var maxAudienceUsers = 4096

        /// The longest retention of media that is not pinned.
        package var maxRetentionMs: Int64 = 366 * 86_400_000
        /// How long an upload may take: the creator's token must have been good when it began.
        package var maxUploadAgeMs: Int64 = 8 * 86_400_000
        /// The longest lease of a directory answer.
        package var maxLeaseMs: Int64 = 60_000
        /// The longest wait for a derivative.
        package var maxDerivativeWaitMs: Int64 = 60_000
        /// Lookups that may wait for a derivative.
        package var maxDerivativeWaits = 4096
        /// Users in one grant.
        package var maxGrantUsers = 1000

        /// Writes that may wait for the disk; above it frames are refused as exhausted.
        package var maxQueuedWrites = 16_384
        /// Writes committed together at most.
        package var maxWritesPerCommit = 1024
        /// Reads that may wait.
        package var maxQueuedReads = 65_536
        /// Threads that read the database.
        package var readThreads = 2
        /// How often what has expired is swept out, besides the exact deletions.
        package var sweepIntervalMs: Int64 = 60_000

        package init() {}
    }
}

extension RouterService.Configuration {
    var inbox: InboxEngine.Configuration {
        var inbox = InboxEngine.Configuration()
        inbox.maxDevicesPerUser = maxDevicesPerUser
        inbox.maxMessagesPerDevice = maxMessagesPerDevice
        inbox.maxBytesPerDevice = maxBytesPerDevice
        inbox.maxWaitingMessages = maxWaitingMessages
        inbox.maxWaitingBytes = maxWaitingBytes
        inbox.maxWaitingUsersPerSlot = maxWaitingUsersPerSlot
        inbox.messageLifetimeMs = messageLifetimeMs
        inbox.callMessageLifetimeMs = callMessageLifetimeMs
        inbox.acceptedIdLifetimeMs = acceptedIdLifetimeMs
        return inbox
    }

    var registration: DeviceRegistration.Configuration {
        DeviceRegistration.Configuration(maxDevicesPerUser: maxDevicesPerUser, resumeLifetimeMs: resumeLifetimeMs)
    }

    var status: StatusEngine.Configuration {
        var status = StatusEngine.Configuration()
        status.lifetimeMs = statusLifetimeMs
        status.maxLifetimeMs = maxStatusLifetimeMs
        status.maxStatusesPerUser = maxStatusesPerUser
        status.maxAudienceUsers = maxAudienceUsers
        return status
    }

    var calls: CallTable.Configuration {
        var calls = CallTable.Configuration()
        calls.holdMs = offerHoldMs
        calls.callLifetimeMs = callLifetimeMs
        calls.maxCalls = maxCalls
        calls.maxCallsPerUser = maxCallsPerUser
        return calls
    }

    var writer: DatabaseWriter.Configuration {
        var writer = DatabaseWriter.Configuration()
        writer.maxQueuedWrites = maxQueuedWrites
        writer.maxWritesPerCommit = maxWritesPerCommit
        return writer
    }

    var readers: DatabaseReaders.Configuration {
        var readers = DatabaseReaders.Configuration()
        readers.threads = readThreads
        readers.maxQueuedReads = maxQueuedReads
        return readers
    }
}
