package import MediaWorkerService

/// Makes thumbnails: `MediaWorkerPool`, in a process of its own.
package protocol ThumbnailMaker: Sendable {
    /// - Throws: `MediaWorkerError`, or what reading the input threw.
    func thumbnail(width: Int, of input: WorkerInput) async throws -> Thumbnail
}

extension MediaWorkerPool: ThumbnailMaker {}
