extension MediaService {
    package struct Configuration: Equatable, Sendable {
        /// Where objects, the index and the node's key lie.
        package var dataDirectory = "var/media"
        /// The largest upload, in bytes (Tus-Max-Size).
        package var maxUploadBytes: Int64 = 10 << 30
        /// Unfinished uploads of one user.
        package var maxOpenUploadsPerUser = 64
        /// Unfinished uploads of the node.
        package var maxOpenUploads = 10_000
        /// Uploads kept in memory between two requests; others are read back from the index.
        package var maxIdleUploads = 64
        /// An upload that gets no byte for so long is deleted; a finished one answers HEAD for so long.
        package var uploadIdleTimeoutMs: Int64 = 86_400_000
        /// A node that has less free disk space takes no upload (507).
        package var minFreeDiskBytes: Int64 = 1 << 30
        /// Bytes of a request after which they are made durable before it ends.
        package var checkpointBytes = 4 << 20
        /// Bytes hashed, sealed and written in one step.
        package var writeBatchBytes = 256 << 10
        /// How long a finished upload's answer waits for the central.
        package var registerTimeoutMs: Int64 = 5000
        /// Between two tries to register uploads that the central does not know yet.
        package var outboxRetryMs: Int64 = 2000
        /// Threads for disk and cipher work.
        package var diskThreads = 4
        package var maxQueuedDiskJobs = 4096
        /// Objects read at the same time that keep their file open.
        package var maxOpenObjects = 256
        /// Bytes read and decrypted in one step for one reader.
        package var readBatchBytes = 256 << 10
        /// Answers of the directory that are kept for their lease.
        package var maxLeases = 8192
        /// While the central cannot be reached, a lease that ended is good for so long, never past an expiry.
        package var outageGraceMs: Int64 = 600_000
        /// The central's clock counts as unknown while it is known less exactly than this; what may have expired by then is
        /// refused.
        package var maxClockUncertaintyMs: Int64 = 1000
        /// Objects fetched from siblings at the same time.
        package var maxFills = 16
        /// Chunks of 64 KiB in one request to a sibling.
        package var fillBatchChunks = 64
        /// The longest that a client may wait for a derivative (Prefer: wait).
        package var maxDerivativeWaitMs: Int64 = 30_000
        /// Thumbnails made at the same time.
        package var maxThumbnailJobs = 2
        /// Failed tries after which a thumbnail is given up.
        package var maxThumbnailAttempts = 3
        /// Between two looks for what has expired.
        package var sweepIntervalMs: Int64 = 60_000

        package init() {}
    }
}
