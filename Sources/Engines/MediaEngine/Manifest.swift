internal import Base
internal import Crypto

/// The hash tree over an object's stored chunks, as the full list of its leaves.
///
/// Leaf: SHA-256(0x00, chunk index in 8 bytes, stored chunk). Inner node: SHA-256(0x01, left, right), in the shape of
/// RFC 9162 section 2.1.1 (a node without a sibling moves up as it is). The root is in the directory; who has it can take
/// the leaves from anybody, and then each chunk from anybody.
package struct Manifest: Equatable, Sendable {
    package static let leafBytes = 32
    /// Root of an object without chunks: SHA-256 of nothing.
    package static let emptyRoot = Digest.sha256([])

    package private(set) var leaves: [UInt8]
    package private(set) var epochs: EpochRuns

    /// - Parameter leaves: the leaves one after the other.
    package init(leaves: [UInt8], epochs: EpochRuns) {
        precondition(leaves.count % Self.leafBytes == 0)
        self.leaves = leaves
        self.epochs = epochs
    }

    package var chunkCount: Int { leaves.count / Self.leafBytes }

    package static func leaf(chunk: Int, stored: UnsafeRawBufferPointer) -> [UInt8] {
        var hasher = SHA256Hasher()
        var prefix: [UInt8] = [0]
        prefix.append(bigEndian: UInt64(chunk))
        hasher.update(prefix)
        hasher.update(stored)
        return hasher.finalize()
    }

    package func leaf(of chunk: Int) -> ArraySlice<UInt8> {
        leaves[chunk * Self.leafBytes..<(chunk + 1) * Self.leafBytes]
    }

    /// Whether the bytes are this chunk as it was stored.
    package func verifies(chunk: Int, stored: UnsafeRawBufferPointer) -> Bool {
        guard chunk >= 0, chunk < chunkCount else { return false }
        return Self.leaf(chunk: chunk, stored: stored).elementsEqual(leaf(of: chunk))
    }

    package var root: [UInt8] {
        if leaves.isEmpty { return Self.emptyRoot }
        let width = Self.leafBytes
        var level = leaves
        while level.count > width {
            var next: [UInt8] = []
            next.reserveCapacity(level.count / 2 + width)
            var start = 0
            while start + 2 * width <= level.count {
                next += Digest.sha256([1] + level[start..<start + 2 * width])
                start += 2 * width
            }
            next += level[start...]
            level = next
        }
        return level
    }

    /// `SKM` and a version byte, the number of epoch runs (4 bytes), the runs, the leaves.
    ///
    /// The epochs are not under the root: a wrong one makes the chunk's own seal fail.
    package var encoded: [UInt8] {
        var output = Self.magic
        output.reserveCapacity(encodedCount)
        output.append(bigEndian: UInt32(epochs.runs.count))
        output += epochs.encoded
        output += leaves
        return output
    }

    package var encodedCount: Int { 8 + epochs.runs.count * 12 + leaves.count }

    /// The most bytes that a manifest of so many chunks can have: at most one epoch per chunk, and one before the first.
    package static func maximumEncodedCount(chunks: Int) -> Int { 8 + (chunks + 1) * (12 + leafBytes) }

    private static let magic: [UInt8] = Array("SKM".utf8) + [1]

    /// Parses a manifest from anybody and holds it against the root that the directory gave.
    package init(encoded bytes: [UInt8], layout: ChunkLayout, root: [UInt8]) throws(ManifestError) {
        guard bytes.count >= 8, bytes[..<4].elementsEqual(Self.magic) else { throw .malformed }
        let runBytes = bytes[4..<8].reduce(0) { $0 << 8 | Int($1) } * 12
        guard bytes.count == 8 + runBytes + layout.chunkCount * Self.leafBytes,
            let epochs = EpochRuns(encoded: bytes[8..<8 + runBytes])
        else { throw .malformed }
        self.init(leaves: Array(bytes[(8 + runBytes)...]), epochs: epochs)
        guard self.root == root else { throw .wrongRoot }
    }
}

package enum ManifestError: Error, Equatable {
    /// Not a manifest, or of another number of chunks.
    case malformed
    /// The leaves do not make the root of the directory.
    case wrongRoot
}
