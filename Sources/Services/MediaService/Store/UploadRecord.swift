import Base
import MediaEngine
import Wire

/// One upload as it stands in the index. What an acknowledgement promises is in here, and it is committed before.
struct UploadRecord: Equatable, Sendable {
    let id: UUID
    let owner: UserAddress
    let createdAt: WallTime
    let length: Int64
    let metadata: UploadMetadata
    /// The storage object that the upload becomes.
    let object: UUID
    /// Its file's name.
    let file: String
    /// The object's key, wrapped by the node's; nil once the central has it.
    var wrappedKey: [UInt8]?
    var progress: Progress
    var phase: UploadStateMachine.Phase
    /// Root of the manifest, once all bytes are there.
    var manifestRoot: [UInt8]?
    /// The token that registers the upload, wrapped by the node's key; nil once it is registered.
    var wrappedToken: [UInt8]?

    /// How far the upload is: everything needed to go on without reading the file.
    struct Progress: Equatable, Sendable {
        var offset: Int64 = 0
        /// SHA-256 of the bytes so far.
        var midstate: [UInt8]
        /// The bytes of the chunk that is not whole, sealed: nonce, ciphertext, tag. Empty if there are none.
        var tail: [UInt8] = []
        var epochs = EpochRuns()
    }

    var layout: ChunkLayout { ChunkLayout(size: length, mode: metadata.mode) }
    /// What the wrapped key and the wrapped token are bound to.
    var keyContext: [UInt8] { Array("upload key".utf8) + id.bytes }
    var tokenContext: [UInt8] { Array("upload token".utf8) + id.bytes }

    var machine: UploadStateMachine {
        UploadStateMachine(length: length, durableOffset: progress.offset, phase: phase)
    }
}

extension UploadStateMachine.Phase {
    /// The number and the id under which the index keeps it. Ended uploads are not kept.
    var stored: (code: Int64, media: MediaID?) {
        switch self {
        case .receiving, .ended: (0, nil)
        case .complete: (1, nil)
        case .verified(let media): (2, media)
        case .registered(let media): (3, media)
        }
    }

    init?(code: Int64, media: [UInt8]?) {
        switch (code, media.flatMap { MediaID(bytes: $0) }) {
        case (0, _): self = .receiving
        case (1, _): self = .complete
        case (2, .some(let media)): self = .verified(media)
        case (3, .some(let media)): self = .registered(media)
        default: return nil
        }
    }
}
