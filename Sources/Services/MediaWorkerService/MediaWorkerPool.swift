package import Base
import Glibc
package import Runtime
import WorkerProtocol

/// The input of a job as random-access bytes, opened chunk by chunk, so that plaintext never touches a disk.
package struct WorkerInput: Sendable {
    package let size: Int64
    /// Offset and count, at most 65,536 and within the size: exactly those bytes, or an error.
    package let read: @Sendable (_ offset: Int64, _ count: Int) async throws -> [UInt8]

    package init(size: Int64, read: @escaping @Sendable (_ offset: Int64, _ count: Int) async throws -> [UInt8]) {
        precondition(size >= 0)
        self.size = size
        self.read = read
    }
}

/// A WebP image.
package struct Thumbnail: Equatable, Sendable {
    package let webp: [UInt8]
    package let width: Int
    package let height: Int
}

/// Starts a worker process for each job, a bounded number at a time; a worker that crashes, hangs or is taken over costs its
/// own job.
package final class MediaWorkerPool: Service {
    package struct Configuration: Equatable, Sendable {
        /// The worker's program; empty: `media-worker` beside the running program.
        package var executablePath = ""
        /// Workers at a time; each takes up to a processor and `memoryLimitBytes`.
        package var maxConcurrentJobs = 2
        /// Jobs that may wait for a worker; more are refused.
        package var maxQueueLength = 64
        /// From the start of a worker to its answer; it is killed then.
        package var jobTimeoutMs = 30_000
        /// Address space of a worker beyond its program and libraries.
        package var memoryLimitBytes = 768 << 20
        /// Processor time of a worker.
        package var maxCPUSeconds = 20
        /// Width times height of a picture or video that is decoded.
        package var maxPixels = 110_000_000
        /// Bytes of the input that a worker may read in all; a picture must be smaller.
        package var maxInputBytes = 256 << 20
        /// Frames of a video that are looked through for a key frame at one place.
        package var maxFrames = 300
        /// Size of a result.
        package var maxOutputBytes = 4 << 20
        /// libwebp's quality, 0 to 100.
        package var quality = 80

        package init() {}
    }

    private let configuration: Configuration
    private let executablePath: String
    private let loops: EventLoopGroup
    private let logger: Logger
    private let slots: JobSlots
    private let metrics: MediaWorkerMetrics
    /// Starting and reaping block for a moment.
    private let starters: BlockingPool

    package init(configuration: Configuration, loops: EventLoopGroup, logger: Logger, metrics: MetricsRegistry) {
        self.configuration = configuration
        self.loops = loops
        self.logger = logger
        executablePath =
            configuration.executablePath.isEmpty ? Self.besideThisProgram() : configuration.executablePath
        slots = JobSlots(maxRunning: configuration.maxConcurrentJobs, maxWaiting: configuration.maxQueueLength)
        self.metrics = MediaWorkerMetrics(metrics, slots: slots)
        starters = BlockingPool(
            threads: 1, name: "media-worker", queueLimit: 2 * configuration.maxConcurrentJobs)
    }

    /// Until the shutdown; then waiting jobs are refused, and running ones end.
    package func run(until shutdown: Shutdown) async throws {
        await shutdown.wait()
        await close()
    }

    /// Refuses what waits and what comes, and returns when no worker runs. Must be called before the pool is dropped.
    package func close() async {
        await slots.close()
        starters.shutdown()
    }

    /// Makes a still WebP image of a JPEG, a PNG, or an H.264 video in MP4.
    ///
    /// - Parameter width: pixels, 1 to 16,383; the height follows, and a smaller picture is not enlarged.
    /// - Throws: `MediaWorkerError`, `CancellationError`, or what `input.read` threw.
    package func thumbnail(width: Int, of input: WorkerInput) async throws -> Thumbnail {
        precondition(1...16_383 ~= width)
        let job = WorkerJob(
            kind: .thumbnail, width: UInt32(width), quality: UInt8(clamping: configuration.quality),
            inputBytes: UInt64(input.size), limits: limits)
        do {
            try await slots.acquire()
            defer { slots.release() }
            let loop = EventLoop.current ?? loops.next()
            let thumbnail = try await withTaskExecutorPreference(loop) { try await run(job, input, on: loop) }
            metrics.count(nil)
            return thumbnail
        } catch {
            metrics.count(error)
            throw error
        }
    }

    private var limits: WorkerJob.Limits {
        WorkerJob.Limits(
            maxPixels: UInt64(configuration.maxPixels), maxInputBytes: UInt64(configuration.maxInputBytes),
            maxFrames: UInt32(clamping: configuration.maxFrames),
            maxOutputBytes: UInt32(clamping: configuration.maxOutputBytes),
            memoryBytes: UInt64(configuration.memoryLimitBytes),
            cpuSeconds: UInt32(clamping: configuration.maxCPUSeconds))
    }

    /// `@concurrent`: on the loop that the task prefers, and never on a caller's actor.
    @concurrent
    private func run(_ job: WorkerJob, _ input: WorkerInput, on loop: EventLoop) async throws -> Thumbnail {
        let path = executablePath
        let start = loop.now
        let process = try await starters.run { try WorkerProcess.start(path) }
        let conversation = try WorkerConversation(process, on: loop)
        let result: Result<Thumbnail, any Error>
        do {
            result = .success(
                try await conversation.run(job, input: input, timeout: .milliseconds(configuration.jobTimeoutMs)))
        } catch {
            result = .failure(error)
        }
        let exit = await conversation.finish(reapingOn: starters)
        metrics.duration.record(loop.now - start)
        do {
            return try result.get()
        } catch is WorkerGone {
            let error = Self.error(of: exit)
            logger.warning("media worker ended without an answer", metadata: ["exit": "\(exit)", "error": "\(error)"])
            throw error
        }
    }

    private static func error(of exit: WorkerProcess.Exit) -> MediaWorkerError {
        switch exit {
        case .signal(SIGXCPU): .limitExceeded
        case .signal(SIGSYS): .misbehaved
        case .signal(SIGKILL): .killed
        case .signal(let signal): .crashed(signal: signal)
        case .code: .crashed(signal: 0)
        }
    }

    private static func besideThisProgram() -> String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count)
        guard count > 0 else { return "media-worker" }
        let bytes = path[..<count].map { UInt8(bitPattern: $0) }
        let folder = bytes.lastIndex(of: UInt8(ascii: "/")).map { bytes[...$0] } ?? []
        return String(decoding: folder, as: UTF8.self) + "media-worker"
    }
}
