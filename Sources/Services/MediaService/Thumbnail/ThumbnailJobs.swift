import Base
import Crypto
import MediaEngine
import MediaWorkerService
import Runtime
import Synchronization
import Wire

/// Makes the thumbnails that the index says are to be made. A job survives crashes; an attempt counts before it is made, so
/// that an input which takes the node down is given up too.
final class ThumbnailJobs: Sendable {
    private let store: Store
    private let objects: Objects
    private let directory: any MediaDirectory
    private let maker: any ThumbnailMaker
    private let configuration: MediaService.Configuration
    private let logger: Logger
    private let running = Mutex<Set<UUID>>([])
    let wakeup = Wakeup()

    init(
        store: Store, objects: Objects, directory: any MediaDirectory, maker: any ThumbnailMaker,
        configuration: MediaService.Configuration, logger: Logger
    ) {
        self.store = store
        self.objects = objects
        self.directory = directory
        self.maker = maker
        self.configuration = configuration
        self.logger = logger
    }

    /// Whoever asks for a thumbnail that nobody makes starts it, where the original is at hand.
    func ensure(of original: MediaFound, media: MediaID) async throws {
        guard let key = original.objectKey, try await objects.holds(original.object) else { return }
        if try await store.index.thumbnailJob(of: original.object, variant: ThumbnailVariant.name) != nil { return }
        try await store.index.insert(
            ThumbnailJob(
                source: original.object, media: media, variant: ThumbnailVariant.name,
                contentType: original.contentType,
                wrappedKey: store.nodeKey.wrap(key, context: ThumbnailJob.keyContext(original.object)),
                createdAt: directory.centralTime ?? WallClock.now(), expiresAt: original.expiresAt, attempts: 0,
                hasFailed: false))
        wakeup.signal()
    }

    /// Runs until the task is cancelled.
    func run(on loop: EventLoop) async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let jobs = (try? await store.index.openThumbnailJobs(limit: 2 * configuration.maxThumbnailJobs)) ?? []
                for job in jobs {
                    let isMine = running.withLock { running in
                        running.count < configuration.maxThumbnailJobs && running.insert(job.source).inserted
                    }
                    guard isMine else { continue }
                    group.addTask(executorPreference: loop) { [self] in
                        let isDone = await attempt(job)
                        running.withLock { _ = $0.remove(job.source) }
                        if isDone { wakeup.signal() }
                    }
                }
                await wakeup.wait(atMost: .milliseconds(configuration.outboxRetryMs), on: loop)
            }
        }
    }

    /// - Returns: whether the job has ended, well or not.
    private func attempt(_ job: ThumbnailJob) async -> Bool {
        do {
            guard let key = store.nodeKey.unwrap(job.wrappedKey, context: ThumbnailJob.keyContext(job.source)),
                let source = try await objects.held(job.source)
            else {
                try await store.index.finish(job, object: nil)
                return true
            }
            var job = job
            // Of an attempt that was cut off: other edges must not look here for what this one replaces.
            if let leftover = job.object { try await objects.purge([leftover]) }
            guard job.attempts < configuration.maxThumbnailAttempts else { return try await giveUp(job) }
            let object = UUID.v7(at: WallClock.now())
            job.attempts += 1
            job.object = object
            try await store.index.saveAttempt(of: job)
            let image: [UInt8]
            do {
                image = try await maker.webP(width: ThumbnailVariant.width, of: input(source, key))
            } catch let error as MediaWorkerError {
                logger.info("no thumbnail", metadata: ["media": "\(job.media)", "error": "\(error)"])
                if error.isFinal { return try await giveUp(job) }
                if error.isOurs {
                    job.attempts -= 1
                    try await store.index.saveAttempt(of: job)
                }
                return false
            }
            return try await publish(image, as: object, of: job)
        } catch {
            logger.warning("a thumbnail job waits", metadata: ["media": "\(job.media)", "error": "\(error)"])
            return false
        }
    }

    /// Decrypted bytes of the original, some at a time; they never touch the disk.
    private func input(_ source: StoredObject, _ key: [UInt8]) -> WorkerInput {
        WorkerInput(size: source.layout.size) { [disk = store.disk] offset, count in
            if count == 0 { return [] }
            let range = offset..<offset + Int64(count)
            return try await disk.run {
                try source.decrypt(source.layout.chunks(holding: range), within: range, key: key)
            }
        }
    }

    /// Tells every edge by an empty derivative that there will be none.
    private func giveUp(_ job: ThumbnailJob) async throws -> Bool {
        _ = try await register(
            [], of: job, object: UUID.v7(at: WallClock.now()), key: randomBytes(32), root: Manifest.emptyRoot)
        store.metrics.failedThumbnails.increment()
        var job = job
        job.hasFailed = true
        try await store.index.saveAttempt(of: job)
        return true
    }

    /// Stores the thumbnail as an object of its own, and registers it then: whoever waits for it comes at once.
    private func publish(_ image: [UInt8], as object: UUID, of job: ThumbnailJob) async throws -> Bool {
        let key = randomBytes(SealingPlan.keyBytes)
        let name = StoreFolder.newName()
        let root = try await store.disk.run { [store] in
            let layout = ChunkLayout(size: Int64(image.count), mode: .managed)
            let file = try File(store.folder.fillPath(name), .create)
            let sealer = ChunkSealer(object: object, layout: layout, key: key)
            return try sealer.write(image, to: file)
        }
        func record(expiresAt: WallTime?) -> ObjectRecord {
            ObjectRecord(
                object: object, media: job.media, variant: job.variant, file: name, size: Int64(image.count),
                mode: .managed, manifestRoot: root, expiresAt: expiresAt)
        }
        try await store.adopt(record(expiresAt: job.expiresAt))
        do {
            let registered = try await register(image, of: job, object: object, key: key, root: root)
            if registered.object == object {
                try await store.index.finish(job, object: record(expiresAt: registered.expiresAt))
                store.metrics.thumbnails.increment()
            } else {
                try await objects.purge([object])
                try await store.index.finish(job, object: nil)
            }
            return true
        } catch let error as EdgeError where error.kind == .notFound || error.kind == .forbidden {
            // Refused for good: the media is gone.
            try await objects.purge([object])
            try await store.index.finish(job, object: nil)
            return true
        } catch {
            // The central's being away says nothing about the input.
            var job = job
            job.attempts -= 1
            try await store.index.saveAttempt(of: job)
            throw error
        }
    }

    private func register(
        _ image: [UInt8], of job: ThumbnailJob, object: UUID, key: [UInt8], root: [UInt8]
    ) async throws -> MediaRegistered {
        let layout = ChunkLayout(size: Int64(image.count), mode: .managed)
        var retention = MediaRetention.pinned
        if let expiresAt = job.expiresAt {
            let left = (expiresAt - (directory.centralTime ?? job.createdAt)).milliseconds / 1000
            retention = .seconds(max(1, left))
        }
        return try await directory.register(
            MediaRegister(
                token: nil, uploadCreatedAt: job.createdAt, media: job.media, variant: job.variant, object: object,
                sizeBytes: layout.size, storedBytes: layout.storedBytes, mode: .managed, retention: retention,
                manifestRoot: root, contentType: ThumbnailVariant.contentType, objectKey: key))
    }
}

extension MediaWorkerError {
    /// Says nothing about the input: the attempt does not count.
    fileprivate var isOurs: Bool {
        switch self {
        case .noSandbox, .overloaded, .notStarted, .closed: true
        default: false
        }
    }
}
