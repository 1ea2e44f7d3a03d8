package import MediaWorkerService

/// Makes thumbnails: `MediaWorkerPool`, in a process of its own.
package protocol ThumbnailMaker: Sendable {
    /// A WebP image.
    ///
    /// - Throws: `MediaWorkerError`, or what reading the input threw.
    func webP(width: Int, of input: WorkerInput) async throws -> [UInt8]
}

extension MediaWorkerPool: ThumbnailMaker {
    package func webP(width: Int, of input: WorkerInput) async throws -> [UInt8] {
        try await thumbnail(width: width, of: input).webp
    }
}
