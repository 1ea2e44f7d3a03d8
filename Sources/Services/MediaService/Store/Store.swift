import Base
import Runtime
import Synchronization

/// The node's part of the store: folder, index, node key, and the threads that wait for the disk.
final class Store: Sendable {
    let folder: StoreFolder
    let index: StoreIndex
    let nodeKey: NodeKey
    let disk: Disk
    let metrics: MediaMetrics
    /// Files that are on their way into the index: doomed there, but not to be deleted.
    private let adopting = Mutex<Set<String>>([])

    /// Opens the store and removes what a crash left behind of fills.
    init(configuration: MediaService.Configuration, metrics: MediaMetrics) throws {
        self.metrics = metrics
        folder = try StoreFolder(root: configuration.dataDirectory)
        try folder.removeFills()
        nodeKey = try NodeKey.load(path: folder.keyPath)
        index = try StoreIndex(path: folder.indexPath)
        disk = Disk(
            pool: BlockingPool(
                threads: configuration.diskThreads, name: "media-disk", queueLimit: configuration.maxQueuedDiskJobs))
    }

    func close() {
        disk.pool.shutdown()
        index.close()
    }

    /// Moves a durable file from the fill folder into its place and enters the object, so that a crash at any point leaves
    /// both or neither.
    func adopt(_ object: ObjectRecord) async throws {
        adopting.withLock { _ = $0.insert(object.file) }
        defer { adopting.withLock { _ = $0.remove(object.file) } }
        try await index.doom(object.file)
        try await disk.run { [folder] in try folder.adoptFill(object.file) }
        try await index.insert(object)
    }

    /// Deletes the files whose records are gone.
    func removeDoomedFiles() async throws {
        while true {
            let doomed = try await index.doomedFiles(limit: 256)
            let files = adopting.withLock { adopting in doomed.filter { !adopting.contains($0) } }
            if files.isEmpty { return }
            try await disk.run { [folder] in
                for file in files { try FileSystem.remove(folder.objectPath(file)) }
            }
            try await index.forget(doomedFiles: files)
        }
    }
}
