/// Which chunks of an object are here, and which to fetch next: first what readers wait for, then the rest.
package struct FillPlan: Equatable, Sendable {
    package let chunkCount: Int
    /// Chunks in one request at most.
    package let batch: Int
    private var words: [UInt64]
    private var present = 0
    /// Where the newest reader waits.
    private var position = 0

    package init(chunkCount: Int, batch: Int) {
        precondition(chunkCount >= 0 && batch > 0)
        self.chunkCount = chunkCount
        self.batch = batch
        words = Array(repeating: 0, count: (chunkCount + 63) / 64)
    }

    package var isComplete: Bool { present == chunkCount }

    package func contains(_ chunk: Int) -> Bool {
        precondition(chunk >= 0 && chunk < chunkCount)
        return words[chunk >> 6] & (1 << UInt64(chunk & 63)) != 0
    }

    package mutating func insert(_ chunk: Int) {
        guard !contains(chunk) else { return }
        words[chunk >> 6] |= 1 << UInt64(chunk & 63)
        present += 1
    }

    /// A reader waits for this chunk.
    package mutating func want(_ chunk: Int) {
        precondition(chunk >= 0 && chunk < chunkCount)
        position = chunk
    }

    /// How many chunks from here on are present without a gap, at most `limit`.
    package func run(from chunk: Int, limit: Int) -> Int {
        var count = 0
        while count < limit, chunk + count < chunkCount, contains(chunk + count) { count += 1 }
        return count
    }

    /// The next missing chunks in a row, from the newest reader's place on and then from the start; nil when complete.
    package func nextBatch() -> Range<Int>? {
        guard let start = firstMissing(in: position..<chunkCount) ?? firstMissing(in: 0..<position) else { return nil }
        var end = start
        while end < chunkCount, end - start < batch, !contains(end) { end += 1 }
        return start..<end
    }

    private func firstMissing(in chunks: Range<Int>) -> Int? {
        var chunk = chunks.lowerBound
        while chunk < chunks.upperBound {
            if chunk & 63 == 0, words[chunk >> 6] == .max {
                chunk += 64
            } else if contains(chunk) {
                chunk += 1
            } else {
                return chunk
            }
        }
        return nil
    }
}
