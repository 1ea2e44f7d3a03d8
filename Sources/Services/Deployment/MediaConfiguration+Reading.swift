import ConfigurationFile
import MediaService

extension MediaService.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.readPath("data_directory", &dataDirectory, isRequired: true)
        readUploads(section)
        section.read("disk_threads", &diskThreads, in: 1...256)
        section.read("max_queued_disk_jobs", &maxQueuedDiskJobs, in: 1...1_000_000)
        section.read("max_open_objects", &maxOpenObjects, in: 1...100_000)
        section.read("read_batch_bytes", &readBatchBytes, in: 64 << 10...64 << 20)
        section.read("max_leases", &maxLeases, in: 1...10_000_000)
        section.read("outage_grace_ms", &outageGraceMs, in: 0...86_400_000)
        section.read("max_clock_uncertainty_ms", &maxClockUncertaintyMs, in: 1...60_000)
        section.read("max_fills", &maxFills, in: 1...4096)
        section.read("fill_batch_chunks", &fillBatchChunks, in: 1...1024)
        section.read("max_derivative_wait_ms", &maxDerivativeWaitMs, in: 0...60_000)
        section.read("max_thumbnail_jobs", &maxThumbnailJobs, in: 1...1024)
        section.read("max_thumbnail_attempts", &maxThumbnailAttempts, in: 1...100)
        section.read("sweep_interval_ms", &sweepIntervalMs, in: 100...86_400_000)
    }

    private mutating func readUploads(_ section: ConfigurationSection) {
        section.read("max_upload_bytes", &maxUploadBytes, in: 1...1 << 48)
        section.read("max_open_uploads_per_user", &maxOpenUploadsPerUser, in: 1...1_000_000)
        section.read("max_open_uploads", &maxOpenUploads, in: 1...10_000_000)
        section.read("max_idle_uploads", &maxIdleUploads, in: 0...1_000_000)
        section.read("upload_idle_timeout_ms", &uploadIdleTimeoutMs, in: 1000...30 * 86_400_000)
        section.read("min_free_disk_bytes", &minFreeDiskBytes, in: 0...1 << 50)
        section.read("checkpoint_bytes", &checkpointBytes, in: 64 << 10...1 << 30)
        section.read("write_batch_bytes", &writeBatchBytes, in: 64 << 10...64 << 20)
        section.read("register_timeout_ms", &registerTimeoutMs, in: 0...600_000)
        section.read("outbox_retry_ms", &outboxRetryMs, in: 10...3_600_000)
    }
}
