import Base
import MediaEngine
import Wire

/// Brings whole uploads into the directory, exactly once each: at the end of the last request, and from the outbox for
/// those that could not be registered then.
final class UploadFinisher: Sendable {
    enum Outcome: Sendable {
        /// Bytes are missing.
        case unfinished
        /// Safe on this node's disk; the central does not know yet.
        case pending
        case registered(MediaID)
        /// Not the bytes that were declared; the upload is gone.
        case digestMismatch(actual: MediaID)
        /// The central does not take it; the upload is gone.
        case refused(EdgeError)
        /// Deleted, or expired.
        case gone
    }

    private let store: Store
    private let uploads: Uploads
    private let directory: any MediaDirectory
    private let logger: Logger
    private let now: @Sendable () -> WallTime
    private let onRegistered: @Sendable (_ hasJob: Bool) -> Void

    init(
        store: Store, uploads: Uploads, directory: any MediaDirectory, logger: Logger,
        now: @escaping @Sendable () -> WallTime, onRegistered: @escaping @Sendable (_ hasJob: Bool) -> Void
    ) {
        self.store = store
        self.uploads = uploads
        self.directory = directory
        self.logger = logger
        self.now = now
        self.onRegistered = onRegistered
    }

    /// Goes as far as it can. Repeating it gives the same answer.
    ///
    /// - Parameter token: of the request; the upload's own when the node does it by itself.
    func finish(_ upload: OpenUpload, token: String? = nil) async throws -> Outcome {
        if case .complete = upload.phase {
            let wrapped = token.map { store.nodeKey.wrap(Array($0.utf8), context: upload.record.tokenContext) }
            if case .delete = try await upload.verify(wrappedToken: wrapped) { try await uploads.delete(upload) }
        }
        if case .verified = upload.phase {
            return try await upload.registering { try await register(upload) }
        }
        return outcome(upload)
    }

    /// Deletes an upload, in whatever state it is. What is in the directory stays there.
    func terminate(_ upload: OpenUpload) async throws {
        try await uploads.end(upload, .terminated)
        // A registration whose answer was lost: nobody must look for the bytes here.
        if upload.durableOffset == upload.record.length, try await !store.index.keeps(upload.record.object) {
            await directory.hold(object: upload.record.object, holds: false)
        }
    }

    private func outcome(_ upload: OpenUpload) -> Outcome {
        switch upload.phase {
        case .receiving, .complete: .unfinished
        case .verified: .pending
        case .registered(let media): .registered(media)
        case .ended(.digestMismatch(let actual)): .digestMismatch(actual: actual)
        case .ended: .gone
        }
    }

    private func register(_ upload: OpenUpload) async throws -> Outcome {
        guard case .verified(let media) = upload.phase, let record = try await store.index.upload(upload.record.id),
            let root = record.manifestRoot
        else { return outcome(upload) }
        guard let wrappedKey = record.wrappedKey, let wrappedToken = record.wrappedToken,
            let key = store.nodeKey.unwrap(wrappedKey, context: record.keyContext),
            let token = store.nodeKey.unwrap(wrappedToken, context: record.tokenContext)
        else { throw EdgeError(.corrupt, "the key of an upload cannot be unwrapped", side: .internal) }
        let layout = record.layout
        let type = record.metadata.filetype ?? "application/octet-stream"
        let request = MediaRegister(
            token: String(decoding: token, as: UTF8.self), uploadCreatedAt: record.createdAt, media: media,
            object: record.object, sizeBytes: record.length, storedBytes: layout.storedBytes,
            mode: layout.mode, retention: record.metadata.retention, manifestRoot: root, contentType: type,
            filename: record.metadata.filename, objectKey: layout.mode == .managed ? key : nil)
        var registered: MediaRegistered
        do {
            registered = try await directory.register(request)
            // The directory may count on a copy that this node has lost: without it these bytes may be the only ones.
            if registered.object != record.object, try await !store.index.keeps(registered.object) {
                await directory.hold(object: registered.object, holds: false)
                registered = try await directory.register(request)
            }
        } catch let error as EdgeError {
            if error.isOutage || error.isRetryable || error.side == .internal {
                logger.warning("an upload waits for the central", metadata: ["error": "\(error.kind.rawValue)"])
                return .pending
            }
            if case .delete = upload.refused() { try await uploads.delete(upload) }
            return .refused(error)
        }
        let isOurs = registered.object == record.object
        let object = ObjectRecord(
            object: record.object, media: media, variant: "", file: record.file, size: record.length, mode: layout.mode,
            manifestRoot: root, expiresAt: registered.expiresAt)
        var job: ThumbnailJob?
        if isOurs, ServedType(declared: type, mode: layout.mode).hasThumbnail {
            job = ThumbnailJob(
                source: record.object, media: media, variant: ThumbnailVariant.name, contentType: type,
                wrappedKey: store.nodeKey.wrap(key, context: ThumbnailJob.keyContext(record.object)),
                createdAt: record.createdAt, expiresAt: registered.expiresAt, attempts: 0, hasFailed: false)
        }
        try await store.index.saveRegistered(record, object: isOurs ? object : nil, job: job, now: now())
        store.metrics.registeredUploads.increment()
        if case .dropObject = upload.registered(isOurs: isOurs) { try await store.removeDoomedFiles() }
        onRegistered(job != nil)
        return .registered(media)
    }

    /// Everything that waits, oldest first. Gives up for now when several in a row still have to wait.
    func drainOutbox() async throws {
        var waiting = 0
        for id in try await store.index.unregisteredUploads(limit: 256) {
            let outcome = try? await uploads.withUpload(id, owner: nil) { upload in
                // A crash between the last byte and its verification: an append of nothing completes it.
                try await upload.checkpoint()
                return try await finish(upload)
            }
            if case .pending = outcome { waiting += 1 } else { waiting = 0 }
            if waiting == 3 { return }
        }
    }
}
