import Base
import Crypto
import MediaEngine
import Runtime
import Wire

/// Takes an upload's bytes in order: hashes them, seals whole chunks into the file, keeps the rest.
///
/// Its calls compute and wait for the disk: they belong into the blocking pool. Nothing counts before `checkpoint` and
/// the commit of what it returned. After any error it is of no use: another one starts from the index.
///
/// `@unchecked Sendable`: used by one job at a time, under the gate of its upload.
final class UploadWriter: @unchecked Sendable {
    struct Checkpoint: Sendable {
        let progress: UploadRecord.Progress
        let firstLeaf: Int
        /// Leaves of the chunks since the last checkpoint.
        let leaves: [UInt8]
    }

    private struct State: Sendable {
        var hasher: SHA256Hasher
        var offset: Int64
        /// Plaintext of the chunk that is not whole.
        var tail: [UInt8]
        var epochs: EpochRuns
        var firstLeaf: Int
        var leaves: [UInt8] = []
        var nextChunk: Int { firstLeaf + leaves.count / Manifest.leafBytes }
    }

    private let sealer: ChunkSealer
    private let file: File
    private var state: State
    /// Whether chunks behind the last checkpoint may have been sealed already, with other bytes.
    private(set) var needsEpoch: Bool

    /// - Throws: `EdgeError.corrupt` if the record and the key do not fit together.
    init(record: UploadRecord, key: [UInt8], file: File, isNew: Bool) throws {
        sealer = ChunkSealer(object: record.object, layout: record.layout, key: key)
        self.file = file
        let progress = record.progress
        let chunk = Int(progress.offset / Int64(ChunkLayout.chunkBytes))
        let isWhole = progress.offset == record.length
        let tailCount = isWhole ? 0 : Int(progress.offset % Int64(ChunkLayout.chunkBytes))
        var tail: [UInt8] = []
        if tailCount > 0 {
            tail = sealer.openTail(progress.tail, chunk: chunk, offset: progress.offset) ?? []
        }
        guard let hasher = SHA256Hasher(state: progress.midstate), tail.count == tailCount else {
            throw EdgeError(.corrupt, "the saved state of an upload cannot be read", side: .internal)
        }
        state = State(
            hasher: hasher, offset: progress.offset, tail: tail, epochs: progress.epochs,
            firstLeaf: isWhole ? record.layout.chunkCount : chunk)
        needsEpoch = !isNew && !isWhole
    }

    var digest: [UInt8] { state.hasher.finalize() }
    var epochs: EpochRuns { state.epochs }

    /// Starts a new epoch; it must be committed before the next `append`.
    func advanceEpoch() throws -> EpochRuns {
        guard state.epochs.advance(from: state.nextChunk) else {
            throw EdgeError(.exhausted, "the upload was interrupted too often", side: .peer)
        }
        needsEpoch = false
        return state.epochs
    }

    func append(_ bytes: [UInt8]) throws {
        precondition(!needsEpoch)
        state.hasher.update(bytes)
        state.offset += Int64(bytes.count)
        let layout = sealer.layout
        // How many chunks become whole, and the room that they take in the file.
        var end = state.nextChunk
        var waiting = state.tail.count + bytes.count
        while end < layout.chunkCount, waiting >= layout.count(of: end) {
            waiting -= layout.count(of: end)
            end += 1
        }
        let chunks = state.nextChunk..<end
        guard !chunks.isEmpty else {
            state.tail += bytes
            return
        }
        var position = 0
        var tail = state.tail
        var leaves: [UInt8] = []
        let stored = [UInt8](unsafeUninitializedCapacity: layout.storedCount(of: chunks)) { buffer, filled in
            let output = UnsafeMutableRawBufferPointer(buffer)
            bytes.withUnsafeBytes { input in
                for chunk in chunks {
                    let place = UnsafeMutableRawBufferPointer(
                        rebasing: output[filled..<filled + layout.storedCount(of: chunk)])
                    let missing = layout.count(of: chunk) - tail.count
                    let piece = UnsafeRawBufferPointer(rebasing: input[position..<position + missing])
                    if tail.isEmpty {
                        sealer.seal(piece, chunk: chunk, epoch: state.epochs.current, into: place)
                    } else {
                        tail += piece
                        tail.withUnsafeBytes {
                            sealer.seal($0, chunk: chunk, epoch: state.epochs.current, into: place)
                        }
                        tail.removeAll(keepingCapacity: true)
                    }
                    position += missing
                    leaves += Manifest.leaf(chunk: chunk, stored: UnsafeRawBufferPointer(place))
                    filled += place.count
                }
            }
        }
        try stored.withUnsafeBytes { try file.write($0, at: layout.storedOffset(of: chunks.lowerBound)) }
        state.leaves += leaves
        state.tail = Array(bytes[position...])
    }

    /// Makes the file durable and returns what has to be committed for it to count.
    func checkpoint() throws -> Checkpoint {
        if !state.leaves.isEmpty { try file.synchronize() }
        let tail =
            state.tail.isEmpty ? [] : sealer.sealTail(state.tail, chunk: state.nextChunk, offset: state.offset)
        return Checkpoint(
            progress: .init(offset: state.offset, midstate: state.hasher.state, tail: tail, epochs: state.epochs),
            firstLeaf: state.firstLeaf, leaves: state.leaves)
    }

    /// The last checkpoint is committed.
    func committed() {
        state.firstLeaf = state.nextChunk
        state.leaves = []
    }

    /// Appends the manifest behind the chunks, durably, and returns its root.
    func writeManifest(leaves: [UInt8]) throws -> [UInt8] {
        let manifest = Manifest(leaves: leaves, epochs: state.epochs)
        guard manifest.chunkCount == sealer.layout.chunkCount else {
            throw EdgeError(.corrupt, "the manifest of an upload has lost chunks", side: .internal)
        }
        try manifest.encoded.withUnsafeBytes { try file.write($0, at: sealer.layout.storedBytes) }
        try file.synchronize()
        return manifest.root
    }
}
