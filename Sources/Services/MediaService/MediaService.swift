package import Base
package import HTTP
import MediaEngine
package import Runtime
package import Tokens
import Wire

/// The media cache of an edge: takes uploads, stores them encrypted, registers them with the central, serves them with what
/// is derived from them, and fetches from siblings what it does not have.
package final class MediaService: Service {
    private let configuration: Configuration
    private let store: Store
    private let uploads: Uploads
    private let finisher: UploadFinisher
    private let objects: Objects
    private let leases: Leases
    private let thumbnails: ThumbnailJobs
    private let directory: any MediaDirectory
    private let authenticator: MediaAuthenticator
    private let loop: EventLoop
    private let logger: Logger
    private let outbox = Wakeup()

    /// Opens the store. What a crash interrupted goes on when the service runs.
    ///
    /// - Parameters:
    ///   - node: this edge's name.
    ///   - loop: where the outbox, the jobs and the sweeper run.
    package init(
        configuration: Configuration, node: String, directory: any MediaDirectory, siblings: any SiblingTransport,
        thumbnails maker: any ThumbnailMaker, tokens: TokenVerifier, loop: EventLoop, logger: Logger,
        metrics: MetricsRegistry
    ) throws {
        self.configuration = configuration
        self.directory = directory
        self.loop = loop
        self.logger = logger
        // The central's clock where it is known: uploads are dated by it, tokens are judged by it.
        let now: @Sendable () -> WallTime = { directory.centralTime ?? WallClock.now() }
        let store = try Store(configuration: configuration, metrics: MediaMetrics(metrics))
        self.store = store
        let uploads = Uploads(store: store, configuration: configuration, now: now)
        self.uploads = uploads
        let objects = Objects(
            store: store, directory: directory, transport: siblings, configuration: configuration, node: node,
            logger: logger)
        self.objects = objects
        leases = Leases(directory: directory, configuration: configuration, clock: { MonotonicClock.now() })
        let thumbnails = ThumbnailJobs(
            store: store, objects: objects, directory: directory, maker: maker, configuration: configuration,
            logger: logger)
        self.thumbnails = thumbnails
        finisher = UploadFinisher(
            store: store, uploads: uploads, directory: directory, logger: logger, now: now,
            onRegistered: { hasJob in if hasJob { thumbnails.wakeup.signal() } })
        authenticator = MediaAuthenticator(verifier: tokens, now: now)
        metrics.computed("skerry_media_uploads_in_memory", "Uploads held in memory.") { Double(uploads.inMemory) }
    }

    /// The public routes, below `/media` and `/s`.
    package func addRoutes(to routes: inout HTTPRoutes) {
        UploadRoutes(
            uploads: uploads, finisher: finisher, authenticator: authenticator, configuration: configuration
        ).register(in: &routes)
        FetchRoutes(
            store: store, objects: objects, leases: leases, thumbnails: thumbnails, directory: directory,
            authenticator: authenticator, configuration: configuration
        ).register(in: &routes)
    }

    /// What nodes of the cluster fetch, for a server behind ALPN `skerry-sibling/1`.
    package func siblingRoutes(cluster: String) -> HTTPRoutes {
        var routes = HTTPRoutes()
        SiblingRoutes(objects: objects, cluster: cluster, configuration: configuration).register(in: &routes)
        return routes
    }

    /// The central says that objects are gone: they are deleted now, also under their readers.
    package func purge(_ gone: [UUID]) async {
        leases.forget(objects: Set(gone))
        do {
            try await objects.purge(gone)
        } catch {
            logger.error("purged objects could not be deleted", metadata: ["error": "\(error)"])
        }
    }

    /// The central can be reached again: what waited for it goes on at once.
    package func centralIsBack() {
        outbox.signal()
        thumbnails.wakeup.signal()
    }

    package func run(until shutdown: Shutdown) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { [self] in await runOutbox() }
            group.addTask(executorPreference: loop) { [self] in await thumbnails.run(on: loop) }
            group.addTask(executorPreference: loop) { [self] in await runSweeper() }
            await shutdown.wait()
            group.cancelAll()
            outbox.signal()
            thumbnails.wakeup.signal()
        }
    }

    private func runOutbox() async {
        while !Task.isCancelled {
            do {
                try await finisher.drainOutbox()
            } catch {
                logger.warning("the outbox waits", metadata: ["error": "\(error)"])
            }
            await outbox.wait(atMost: .milliseconds(configuration.outboxRetryMs), on: loop)
        }
    }

    private func runSweeper() async {
        while !Task.isCancelled {
            do {
                try await sweep()
            } catch {
                logger.warning("sweeping failed", metadata: ["error": "\(error)"])
            }
            try? await loop.sleep(for: .milliseconds(configuration.sweepIntervalMs))
        }
    }

    /// Deletes uploads whose time is over and files without a record, and asks about objects whose expiry has passed: only
    /// the central knows whether a newer reference keeps them.
    func sweep() async throws {
        let now = directory.centralTime ?? WallClock.now()
        for record in try await store.index.staleUploads(
            before: now + .milliseconds(-configuration.uploadIdleTimeoutMs), limit: 1000)
        {
            try? await uploads.withUpload(record.id, owner: nil) { try await uploads.end($0, .expired) }
        }
        try await store.removeDoomedFiles()
        if let time = directory.centralTime {
            for object in try await store.index.objects(expiredBefore: time, limit: 1000) {
                await directory.hold(object: object, holds: true)
                // Asked again then, if it is still here.
                try await store.index.setExpiry(time + .seconds(3600), of: object)
            }
        }
    }

    /// Ends the threads of the store. Nothing may use the service any more.
    package func close() { store.close() }
}
