internal import Base

/// Under which epoch each chunk was sealed.
///
/// A nonce is epoch and chunk index. After a crash nobody knows which chunks behind the durable offset were sealed, and
/// the client may send other bytes for them, so the upload goes on in a new epoch: the same nonce never seals two texts.
package struct EpochRuns: Equatable, Sendable {
    package struct Run: Equatable, Sendable {
        package var firstChunk: Int
        package var epoch: UInt32
    }

    /// Ascending in both members; the first run starts at chunk 0.
    package private(set) var runs: [Run] = [Run(firstChunk: 0, epoch: 0)]

    package init() {}

    /// The epoch in which chunks are sealed now.
    package var current: UInt32 { runs[runs.count - 1].epoch }

    /// Starts a new epoch for every chunk from `chunk` on, the first that is not durable.
    ///
    /// - Returns: false when the epochs are used up; the upload cannot go on then.
    package mutating func advance(from chunk: Int) -> Bool {
        let last = runs[runs.count - 1]
        precondition(chunk >= last.firstChunk)
        guard last.epoch < .max else { return false }
        if last.firstChunk == chunk {
            runs[runs.count - 1].epoch += 1
        } else {
            runs.append(Run(firstChunk: chunk, epoch: last.epoch + 1))
        }
        return true
    }

    package func epoch(of chunk: Int) -> UInt32 {
        var low = 0
        var high = runs.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if runs[middle].firstChunk <= chunk { low = middle } else { high = middle }
        }
        return runs[low].epoch
    }

    /// Twelve bytes per run: first chunk (8), epoch (4).
    package var encoded: [UInt8] {
        var output: [UInt8] = []
        for run in runs {
            output.append(bigEndian: UInt64(run.firstChunk))
            output.append(bigEndian: run.epoch)
        }
        return output
    }

    /// Returns nil unless the bytes are runs in order.
    package init?(encoded bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard !bytes.isEmpty, bytes.count % 12 == 0 else { return nil }
        var runs: [Run] = []
        for start in stride(from: 0, to: bytes.count, by: 12) {
            let first = bytes[start..<start + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let epoch = bytes[start + 8..<start + 12].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            guard first < 1 << 48 else { return nil }
            let run = Run(firstChunk: Int(first), epoch: epoch)
            if let last = runs.last {
                guard run.firstChunk > last.firstChunk, run.epoch > last.epoch else { return nil }
            } else {
                guard run.firstChunk == 0 else { return nil }
            }
            runs.append(run)
        }
        self.runs = runs
    }
}
