import Base
import Crypto
import MediaEngine
import Runtime
import Synchronization
import Wire

/// Every upload of the node: those in the index, and the few of them in memory.
final class Uploads: Sendable {
    private struct Entry {
        var upload: OpenUpload
        var users: Int
        var lastUse: UInt64
    }

    private struct Table {
        var entries: [UUID: Entry] = [:]
        var uses: UInt64 = 0
    }

    private let store: Store
    private let configuration: MediaService.Configuration
    private let now: @Sendable () -> WallTime
    private let table = Mutex(Table())
    /// Loading and creating, so that an upload is in memory once.
    private let loading = AsyncGate()

    init(store: Store, configuration: MediaService.Configuration, now: @escaping @Sendable () -> WallTime) {
        self.store = store
        self.configuration = configuration
        self.now = now
    }

    var inMemory: Int { table.withLock { $0.entries.count } }

    /// - Throws: `exhausted` when the user or the node has too many unfinished uploads, `tooLarge` when the disk has no
    ///   room for it.
    func create(owner: UserAddress, length: Int64, metadata: UploadMetadata, token: String) async throws -> UUID {
        let free = try await store.disk.run { [store] in try store.folder.freeBytes() }
        guard free - length > configuration.minFreeDiskBytes else {
            throw EdgeError(
                .exhausted, "this node's disk has no room for the upload", side: .internal, isRetryable: true)
        }
        let now = now()
        let id = UUID.v7(at: now)
        var record = UploadRecord(
            id: id, owner: owner, createdAt: now, length: length, metadata: metadata, object: UUID.v7(at: now),
            file: StoreFolder.newName(), progress: .init(midstate: SHA256Hasher().state), phase: .receiving)
        let key = randomBytes(SealingPlan.keyBytes)
        record.wrappedKey = store.nodeKey.wrap(key, context: record.keyContext)
        record.wrappedToken = store.nodeKey.wrap(Array(token.utf8), context: record.tokenContext)
        try await store.index.insert(
            record, maxOfUser: configuration.maxOpenUploadsPerUser, maxOfNode: configuration.maxOpenUploads)
        let writer: UploadWriter
        do {
            let file = try await store.disk.run { [store, record] in try store.folder.createObject(record.file) }
            writer = try UploadWriter(record: record, key: key, file: file, isNew: true)
        } catch {
            // Nobody hears its name, so that it must not count as unfinished.
            try? await store.index.delete(record)
            throw error
        }
        enter(OpenUpload(record: record, writer: writer, store: store, configuration: configuration, now: self.now))
        return id
    }

    /// Runs the body with the upload in memory.
    ///
    /// - Parameter owner: whose it must be; nil for the node itself.
    /// - Throws: `notFound` if it is absent or somebody else's.
    func withUpload<Value>(_ id: UUID, owner: UserAddress?, _ body: (OpenUpload) async throws -> Value) async throws
        -> Value
    {
        let upload = try await borrow(id)
        defer { giveBack(upload) }
        if let owner, upload.record.owner != owner { throw Self.notFound }
        return try await body(upload)
    }

    /// Ends an upload in whatever state it is. What is in the directory stays there.
    func end(_ upload: OpenUpload, _ end: UploadStateMachine.End) async throws {
        switch await upload.registering({ await upload.end(end) }) {
        case .delete, .forget: try await delete(upload)
        default: break
        }
    }

    /// The upload is over: it is deleted from the index, and its file unless that is an object by now.
    func delete(_ upload: OpenUpload) async throws {
        try await store.index.delete(upload.record)
        table.withLock { _ = $0.entries.removeValue(forKey: upload.record.id) }
        try await store.removeDoomedFiles()
    }

    static var notFound: EdgeError {
        EdgeError(
            .notFound,
            "there is no such upload: it was never made, is finished for long, has expired, or is another user's")
    }

    private func enter(_ upload: OpenUpload) {
        table.withLock { table in
            table.uses += 1
            table.entries[upload.record.id] = Entry(upload: upload, users: 0, lastUse: table.uses)
        }
    }

    private func borrow(_ id: UUID) async throws -> OpenUpload {
        if let upload = take(id) { return upload }
        return try await loading.run {
            if let upload = take(id) { return upload }
            guard let record = try await store.index.upload(id) else { throw Self.notFound }
            enter(try await load(record))
            guard let upload = take(id) else { throw Self.notFound }
            return upload
        }
    }

    private func take(_ id: UUID) -> OpenUpload? {
        table.withLock { table in
            guard var entry = table.entries[id], !entry.upload.isBroken else { return nil }
            table.uses += 1
            entry.users += 1
            entry.lastUse = table.uses
            table.entries[id] = entry
            return entry.upload
        }
    }

    /// Idle uploads beyond the bound leave the memory, the longest unused first; a broken one at once.
    private func giveBack(_ upload: OpenUpload) {
        table.withLock { table in
            let id = upload.record.id
            guard var entry = table.entries[id], entry.upload === upload else { return }
            entry.users -= 1
            table.entries[id] = entry
            if upload.isBroken {
                table.entries[id] = nil
                return
            }
            var idle = table.entries.filter { $0.value.users == 0 }
            while idle.count > configuration.maxIdleUploads,
                let oldest = idle.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                table.entries[oldest.key] = nil
                idle[oldest.key] = nil
            }
        }
    }

    private func load(_ record: UploadRecord) async throws -> OpenUpload {
        switch record.phase {
        case .verified, .registered, .ended:
            return OpenUpload(record: record, writer: nil, store: store, configuration: configuration, now: now)
        case .receiving, .complete: break
        }
        guard let wrapped = record.wrappedKey, let key = store.nodeKey.unwrap(wrapped, context: record.keyContext)
        else {
            throw EdgeError(.corrupt, "the key of an upload cannot be unwrapped", side: .internal)
        }
        let file = try await store.disk.run { [store] in
            let path = store.folder.objectPath(record.file)
            return FileSystem.exists(path) ? try File(path, .update) : try store.folder.createObject(record.file)
        }
        let writer = try UploadWriter(record: record, key: key, file: file, isNew: false)
        return OpenUpload(record: record, writer: writer, store: store, configuration: configuration, now: now)
    }
}
