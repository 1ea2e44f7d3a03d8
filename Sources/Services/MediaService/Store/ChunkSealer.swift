import Base
import Crypto
import MediaEngine
import Runtime
import Wire

/// Seals and opens the chunks of one object. Of a sealed object the stored bytes are the uploaded ones.
struct ChunkSealer: Sendable {
    let layout: ChunkLayout
    let plan: SealingPlan
    private let key: [UInt8]

    /// - Parameter key: 32 bytes; not used for sealed objects.
    init(object: UUID, layout: ChunkLayout, key: [UInt8]) {
        self.layout = layout
        plan = SealingPlan(object: object, mode: layout.mode)
        self.key = key
    }

    /// Writes the stored form of a whole chunk.
    ///
    /// - Parameter output: `layout.storedCount(of: chunk)` bytes.
    func seal(
        _ plaintext: UnsafeRawBufferPointer, chunk: Int, epoch: UInt32, into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(plaintext.count == layout.count(of: chunk) && output.count == layout.storedCount(of: chunk))
        switch layout.mode {
        case .sealed: output.copyMemory(from: plaintext)
        case .managed:
            AES256GCM.seal(
                plaintext, key: key, nonce: plan.nonce(chunk: chunk, epoch: epoch),
                authenticating: plan.associatedData(chunk: chunk, isLast: layout.isLast(chunk)), into: output)
        }
    }

    /// Writes the plaintext of a managed chunk, or returns false if its seal is broken.
    func open(
        _ stored: UnsafeRawBufferPointer, chunk: Int, epoch: UInt32, into output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        precondition(layout.mode == .managed)
        return AES256GCM.open(
            stored, key: key, nonce: plan.nonce(chunk: chunk, epoch: epoch),
            authenticating: plan.associatedData(chunk: chunk, isLast: layout.isLast(chunk)), into: output)
    }

    private var tailKey: [UInt8] {
        HKDF.sha256(secret: key, salt: [], info: SealingPlan.tailInfo, count: SealingPlan.keyBytes)
    }

    /// The record that holds a partial chunk: random nonce, ciphertext, tag.
    func sealTail(_ plaintext: [UInt8], chunk: Int, offset: Int64) -> [UInt8] {
        let nonce = randomBytes(SealingPlan.nonceBytes)
        return nonce
            + AES256GCM.seal(
                plaintext, key: tailKey, nonce: nonce,
                authenticating: plan.tailAssociatedData(chunk: chunk, offset: offset))
    }

    func openTail(_ record: [UInt8], chunk: Int, offset: Int64) -> [UInt8]? {
        guard record.count > SealingPlan.nonceBytes + ChunkLayout.tagBytes else { return nil }
        return AES256GCM.open(
            Array(record[SealingPlan.nonceBytes...]), key: tailKey, nonce: Array(record[..<SealingPlan.nonceBytes]),
            authenticating: plan.tailAssociatedData(chunk: chunk, offset: offset))
    }
}

extension ChunkSealer {
    /// Writes a whole object with its manifest, durably, and returns the manifest's root. Blocks.
    func write(_ bytes: [UInt8], to file: File) throws -> [UInt8] {
        precondition(Int64(bytes.count) == layout.size)
        var leaves: [UInt8] = []
        let epochs = EpochRuns()
        for chunk in 0..<layout.chunkCount {
            let start = chunk * ChunkLayout.chunkBytes
            let stored = [UInt8](unsafeUninitializedCapacity: layout.storedCount(of: chunk)) { buffer, filled in
                bytes.withUnsafeBytes {
                    seal(
                        UnsafeRawBufferPointer(rebasing: $0[start..<start + layout.count(of: chunk)]), chunk: chunk,
                        epoch: epochs.current, into: UnsafeMutableRawBufferPointer(buffer))
                }
                filled = buffer.count
            }
            leaves += stored.withUnsafeBytes { Manifest.leaf(chunk: chunk, stored: $0) }
            try file.write(stored, at: layout.storedOffset(of: chunk))
        }
        let manifest = Manifest(leaves: leaves, epochs: epochs)
        try file.write(manifest.encoded, at: layout.storedBytes)
        try file.synchronize()
        return manifest.root
    }
}
