package import Wire

/// How an object's bytes lie in its file: fixed chunks of plaintext, each stored with its seal, one after the other.
///
/// `size` is the plaintext's length in bytes; an empty object has no chunk.
package struct ChunkLayout: Equatable, Sendable {
    /// Plaintext bytes of every chunk but the last.
    package static let chunkBytes = 65_536
    /// What AES-256-GCM adds to a managed chunk.
    package static let tagBytes = 16

    package let size: Int64
    package let mode: MediaMode

    package init(size: Int64, mode: MediaMode) {
        precondition(size >= 0 && size < 1 << 56)
        self.size = size
        self.mode = mode
    }

    package var overhead: Int { mode == .managed ? Self.tagBytes : 0 }
    /// Bytes from one stored chunk to the next.
    package var stride: Int { Self.chunkBytes + overhead }

    package var chunkCount: Int { Int((size + Int64(Self.chunkBytes) - 1) / Int64(Self.chunkBytes)) }
    package var storedBytes: Int64 { size + Int64(chunkCount) * Int64(overhead) }

    /// Plaintext bytes in a chunk.
    package func count(of chunk: Int) -> Int {
        precondition(chunk >= 0 && chunk < chunkCount)
        return chunk == chunkCount - 1 ? Int(size - Int64(chunk) * Int64(Self.chunkBytes)) : Self.chunkBytes
    }

    package func storedCount(of chunk: Int) -> Int { count(of: chunk) + overhead }
    package func storedOffset(of chunk: Int) -> Int64 { Int64(chunk) * Int64(stride) }
    package func isLast(_ chunk: Int) -> Bool { chunk == chunkCount - 1 }

    /// Stored bytes of neighbouring chunks together.
    package func storedCount(of chunks: Range<Int>) -> Int {
        chunks.isEmpty
            ? 0
            : Int(storedOffset(of: chunks.upperBound - 1) - storedOffset(of: chunks.lowerBound))
                + storedCount(of: chunks.upperBound - 1)
    }

    /// The chunks that hold a range of plaintext bytes; the range must lie within the object.
    package func chunks(holding range: Range<Int64>) -> Range<Int> {
        precondition(range.lowerBound >= 0 && range.upperBound <= size)
        if range.isEmpty { return 0..<0 }
        let width = Int64(Self.chunkBytes)
        return Int(range.lowerBound / width)..<Int((range.upperBound - 1) / width) + 1
    }

    /// Where the wanted bytes stand within a chunk's plaintext.
    package func slice(of chunk: Int, within range: Range<Int64>) -> Range<Int> {
        let start = Int64(chunk) * Int64(Self.chunkBytes)
        let end = start + Int64(count(of: chunk))
        let wanted = range.clamped(to: start..<end)
        return Int(wanted.lowerBound - start)..<Int(wanted.upperBound - start)
    }
}
