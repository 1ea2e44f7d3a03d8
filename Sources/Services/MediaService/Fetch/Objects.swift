import Base
import MediaEngine
import Runtime
import Synchronization
import Wire

/// The objects that this node can read: whole ones from the index, and those on their way from a sibling.
final class Objects: Sendable {
    private struct Entry {
        var object: StoredObject
        var lastUse: UInt64
        var isFilling: Bool
    }

    private struct Table {
        var entries: [UUID: Entry] = [:]
        var uses: UInt64 = 0
    }

    private let store: Store
    private let directory: any MediaDirectory
    private let transport: any SiblingTransport
    private let configuration: MediaService.Configuration
    private let node: String
    private let logger: Logger
    /// Objects that may wait for each fill that runs.
    private static let maxWaitingPerFill = 16
    private let table = Mutex(Table())
    private let opening = AsyncGate()
    private let fills: AsyncGate

    /// - Parameter node: this edge's name, which is no sibling of its own.
    init(
        store: Store, directory: any MediaDirectory, transport: any SiblingTransport,
        configuration: MediaService.Configuration, node: String, logger: Logger
    ) {
        self.store = store
        self.directory = directory
        self.transport = transport
        self.configuration = configuration
        self.node = node
        self.logger = logger
        fills = AsyncGate(width: configuration.maxFills)
    }

    /// Whether the whole object is on this disk.
    func holds(_ object: UUID) async throws -> Bool { try await store.index.object(object) != nil }

    /// A whole object of this node, or nil.
    func held(_ object: UUID) async throws -> StoredObject? {
        if let entry = use(object), !entry.isFilling { return entry.object }
        return try await opening.run { try await open(object) }
    }

    /// The object, held or filled while it is read.
    ///
    /// - Parameters:
    ///   - found: what the directory says.
    ///   - loop: where a fill runs.
    func object(_ found: MediaFound, media: MediaID, variant: String, on loop: EventLoop) async throws -> StoredObject {
        if let entry = use(found.object) { return entry.object }
        return try await opening.run {
            if let entry = use(found.object) { return entry.object }
            do {
                if let object = try await open(found.object) { return object }
            } catch let error as EdgeError where error.kind == .corrupt && error.side == .internal {
                guard await giveUp(found.object, holders: found.holders) else { throw error }
            }
            return try await startFill(found, media: media, variant: variant, on: loop)
        }
    }

    /// Deletes objects now, also under their readers.
    func purge(_ objects: [UUID]) async throws {
        for object in objects {
            discard(object, EdgeError(.notFound, "the media has expired or was deleted"))
            try await store.index.delete(object: object)
        }
        try await store.removeDoomedFiles()
        // The central waits to hear it, and says it again to an edge that comes back.
        for object in objects { await directory.hold(object: object, holds: false) }
    }

    /// A broken object is fetched again by the next reader, if another edge has it; the only copy stays.
    func isBroken(_ object: StoredObject, holders: [EdgeDescription]) async {
        let isReplaced = table.withLock { table in
            table.entries[object.object].map { $0.object !== object } ?? false
        }
        // Another reader saw it before, and it is on its way.
        if isReplaced { return }
        _ = await giveUp(object.object, holders: holders)
    }

    /// - Returns: whether the broken object is gone from here, to be fetched from another edge.
    private func giveUp(_ object: UUID, holders: [EdgeDescription]) async -> Bool {
        logger.error("an object on the disk is broken", metadata: ["object": "\(object)"])
        guard holders.contains(where: { $0.name != node }) else { return false }
        discard(object, EdgeError(.corrupt, "the object is being fetched again", side: .internal, isRetryable: true))
        guard (try? await store.index.delete(object: object)) == true else { return false }
        await directory.hold(object: object, holds: false)
        try? await store.removeDoomedFiles()
        return true
    }

    /// The directory thinks that this node has an object, and it has not.
    func isMissing(_ object: UUID) async throws {
        if try await !store.index.keeps(object) { await directory.hold(object: object, holds: false) }
    }

    private func discard(_ object: UUID, _ error: EdgeError) {
        table.withLock { $0.entries.removeValue(forKey: object) }?.object.fail(error)
    }

    private func use(_ object: UUID) -> Entry? {
        table.withLock { table in
            guard table.entries[object] != nil else { return nil }
            table.uses += 1
            table.entries[object]?.lastUse = table.uses
            return table.entries[object]
        }
    }

    private func enter(_ object: StoredObject, isFilling: Bool) {
        table.withLock { table in
            if table.entries.count >= configuration.maxOpenObjects,
                let oldest = table.entries.filter({ !$0.value.isFilling }).min(by: {
                    $0.value.lastUse < $1.value.lastUse
                })
            {
                table.entries[oldest.key] = nil
            }
            table.uses += 1
            table.entries[object.object] = Entry(object: object, lastUse: table.uses, isFilling: isFilling)
        }
    }

    private func open(_ object: UUID) async throws -> StoredObject? {
        guard let record = try await store.index.object(object) else { return nil }
        let stored = try await store.disk.run { [store] in
            let path = store.folder.objectPath(record.file)
            guard FileSystem.exists(path) else {
                throw EdgeError(.corrupt, "an object's file is gone", side: .internal)
            }
            return try StoredObject(record: record, file: File(path, .read))
        }
        enter(stored, isFilling: false)
        return stored
    }

    private func startFill(_ found: MediaFound, media: MediaID, variant: String, on loop: EventLoop) async throws
        -> StoredObject
    {
        let holders = found.holders.filter { $0.name != node }
        if holders.count < found.holders.count { try await isMissing(found.object) }
        guard !holders.isEmpty else {
            throw EdgeError(
                .unavailable, "no edge that holds the object is connected", side: .upstream, isRetryable: true)
        }
        let waiting = table.withLock { table in table.entries.values.count { $0.isFilling } }
        guard waiting < configuration.maxFills * Self.maxWaitingPerFill else {
            throw EdgeError(
                .unavailable, "too many objects are being fetched", side: .internal, isRetryable: true)
        }
        let layout = ChunkLayout(size: found.sizeBytes, mode: found.mode)
        let free = try await store.disk.run { [store] in try store.folder.freeBytes() }
        guard free - layout.storedBytes > configuration.minFreeDiskBytes else {
            throw EdgeError(.unavailable, "this node's disk is full", side: .internal, isRetryable: true)
        }
        let record = ObjectRecord(
            object: found.object, media: media, variant: variant, file: StoreFolder.newName(), size: found.sizeBytes,
            mode: found.mode, manifestRoot: found.manifestRoot, expiresAt: found.expiresAt)
        let target = try await store.disk.run { [store, configuration] in
            StoredObject(
                filling: record.object, layout: layout, file: try File(store.folder.fillPath(record.file), .create),
                batch: configuration.fillBatchChunks)
        }
        enter(target, isFilling: true)
        let fill = ObjectFill(
            target: target, manifestRoot: found.manifestRoot, holders: holders, transport: transport, disk: store.disk)
        // Not the reader's task: the fill goes on when its first reader leaves.
        _ = loop.spawn { [self] in await run(fill, record) }
        return target
    }

    private func run(_ fill: ObjectFill, _ record: ObjectRecord) async {
        do {
            try await fills.run { try await fill.run() }
            if let failure = fill.target.failure { throw failure }
            try await store.adopt(record)
            if let failure = fill.target.failure {
                // Purged just now: what has been entered goes again.
                try await store.index.delete(object: record.object)
                try await store.removeDoomedFiles()
                throw failure
            }
            table.withLock { $0.entries[record.object]?.isFilling = false }
            store.metrics.fills.increment()
            store.metrics.filledBytes.increment(by: UInt64(record.layout.storedBytes))
            await directory.hold(object: record.object, holds: true)
        } catch {
            let failure = error as? EdgeError ?? EdgeError(.unavailable, "a fill failed", side: .upstream, cause: error)
            logger.warning("a fill failed", metadata: ["error": "\(failure)"])
            store.metrics.failedFills.increment()
            // Gone before its readers know: one that tries again must not meet the fill that has just failed.
            table.withLock { table in
                if table.entries[record.object]?.object === fill.target { table.entries[record.object] = nil }
            }
            fill.target.fail(failure)
            let path = store.folder.fillPath(record.file)
            try? await store.disk.run { try FileSystem.remove(path) }
        }
    }
}
