import ConfigurationFile
import RouterService

extension RouterService.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.readPath("database_path", &databasePath, isRequired: true)
        section.readPath("root_key_path", &rootKeyPath, isRequired: true)
        section.read("creates_root_key", &createsRootKey)
        readDevices(section)
        readInboxes(section)
        readCallsAndStatuses(section)
        readMedia(section)
        section.read("max_queued_writes", &maxQueuedWrites, in: 1...10_000_000)
        section.read("max_writes_per_commit", &maxWritesPerCommit, in: 1...100_000)
        section.read("max_queued_reads", &maxQueuedReads, in: 1...10_000_000)
        section.read("read_threads", &readThreads, in: 1...256)
        section.read("sweep_interval_ms", &sweepIntervalMs, in: 100...86_400_000)
    }

    private mutating func readDevices(_ section: ConfigurationSection) {
        section.read("max_devices_per_user", &maxDevicesPerUser, in: 1...1000)
        section.read("credit_frames", &creditFrames, in: 1...10_000)
        section.read("resume_lifetime_ms", &resumeLifetimeMs, in: 1000...366 * 86_400_000)
        section.read("max_sessions", &maxSessions, in: 1...100_000_000)
        section.read("max_pending_frames_per_session", &maxPendingFramesPerSession, in: 1...100_000)
    }

    private mutating func readInboxes(_ section: ConfigurationSection) {
        section.read("max_messages_per_device", &maxMessagesPerDevice, in: 1...10_000_000)
        section.read("max_bytes_per_device", &maxBytesPerDevice, in: 1 << 20...1 << 36)
        section.read("max_waiting_messages", &maxWaitingMessages, in: 0...1_000_000)
        section.read("max_waiting_bytes", &maxWaitingBytes, in: 0...1 << 34)
        section.read("max_waiting_users_per_slot", &maxWaitingUsersPerSlot, in: 0...1_000_000)
        section.read("message_lifetime_ms", &messageLifetimeMs, in: 1000...366 * 86_400_000)
        section.read("call_message_lifetime_ms", &callMessageLifetimeMs, in: 1000...86_400_000)
        section.read("accepted_id_lifetime_ms", &acceptedIdLifetimeMs, in: 1000...366 * 86_400_000)
    }

    private mutating func readCallsAndStatuses(_ section: ConfigurationSection) {
        section.read("offer_hold_ms", &offerHoldMs, in: 1000...3_600_000)
        section.read("call_lifetime_ms", &callLifetimeMs, in: 60_000...30 * 86_400_000)
        section.read("max_calls", &maxCalls, in: 1...10_000_000)
        section.read("max_calls_per_user", &maxCallsPerUser, in: 1...1_000_000)
        section.read("status_lifetime_ms", &statusLifetimeMs, in: 1...366 * 86_400_000)
        section.read("max_status_lifetime_ms", &maxStatusLifetimeMs, in: 1...366 * 86_400_000)
        section.read("max_statuses_per_user", &maxStatusesPerUser, in: 1...1_000_000)
        section.read("max_audience_users", &maxAudienceUsers, in: 1...1_000_000)
        if statusLifetimeMs > maxStatusLifetimeMs {
            section.reject("status_lifetime_ms", "has to be at most max_status_lifetime_ms")
        }
    }

    private mutating func readMedia(_ section: ConfigurationSection) {
        section.read("max_retention_ms", &maxRetentionMs, in: 1000...100 * 366 * 86_400_000)
        section.read("max_upload_age_ms", &maxUploadAgeMs, in: 1000...366 * 86_400_000)
        section.read("max_lease_ms", &maxLeaseMs, in: 100...60_000)
        section.read("max_derivative_wait_ms", &maxDerivativeWaitMs, in: 0...600_000)
        section.read("max_derivative_waits", &maxDerivativeWaits, in: 1...1_000_000)
        section.read("max_grant_users", &maxGrantUsers, in: 1...1_000_000)
    }
}
