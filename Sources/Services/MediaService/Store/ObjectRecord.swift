import Base
import MediaEngine
import Wire

/// A whole object on this node's disk. Its key is not here: the central has it.
struct ObjectRecord: Equatable, Sendable {
    let object: UUID
    let media: MediaID
    /// Empty for the original.
    let variant: String
    let file: String
    let size: Int64
    let mode: MediaMode
    let manifestRoot: [UInt8]
    /// As the directory said last; nil when pinned.
    let expiresAt: WallTime?

    var layout: ChunkLayout { ChunkLayout(size: size, mode: mode) }
}

/// A thumbnail that is to be made, or could not be.
struct ThumbnailJob: Equatable, Sendable {
    /// The original's storage object.
    let source: UUID
    let media: MediaID
    let variant: String
    let contentType: String
    /// The original's key, wrapped by the node's: kept until the job is done.
    let wrappedKey: [UInt8]
    let createdAt: WallTime
    let expiresAt: WallTime?
    var attempts: Int
    var hasFailed: Bool
    /// The thumbnail's storage object in the latest attempt: when that was cut off, it may be held, and may be registered.
    var object: UUID?

    static func keyContext(_ source: UUID) -> [UInt8] { Array("thumbnail key".utf8) + source.bytes }
}
