import WorkerProtocol

/// The input as random-access bytes, asked of the edge block by block; a few blocks are kept, so that a demuxer that
/// jumps about does not ask for the same bytes again and again.
final class InputChannel {
    private struct Block {
        var index: Int64
        var bytes: [UInt8]
        var lastUse: UInt64
    }

    /// The edge seals the object in chunks of this size; an aligned read makes it open each once.
    private static let blockBytes: Int64 = 65_536
    private static let maxBlocks = 16

    let size: Int64
    /// Set when a read failed for good; libavformat only sees an I/O error.
    private(set) var failure: WorkerFailure?

    private let channel: EdgeChannel
    private var remainingBytes: UInt64
    private var position: Int64 = 0
    private var blocks: [Block] = []
    private var uses: UInt64 = 0

    init(channel: EdgeChannel, size: Int64, maxInputBytes: UInt64) {
        self.channel = channel
        self.size = size
        remainingBytes = maxInputBytes
    }

    /// Reads on from the current position.
    ///
    /// - Returns: the number of bytes, 0 at the end of the input, nil when `failure` is set.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard position < size else { return 0 }
        guard let block = block(at: position / Self.blockBytes) else { return nil }
        let start = Int(position % Self.blockBytes)
        guard start < block.count else { return 0 }
        let count = min(buffer.count, block.count - start)
        block.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)])) }
        position += Int64(count)
        return count
    }

    /// - Returns: false when the position is outside of the input.
    func seek(to position: Int64) -> Bool {
        guard 0...size ~= position else { return false }
        self.position = position
        return true
    }

    /// Up to `count` bytes from `offset` on; the position moves.
    func bytes(at offset: Int64, count: Int) throws(WorkerFailure) -> [UInt8] {
        guard seek(to: offset) else { return [] }
        var filled = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let target = UnsafeMutableRawBufferPointer(buffer)
            while filled < count, let read = read(into: UnsafeMutableRawBufferPointer(rebasing: target[filled...])),
                read > 0
            {
                filled += read
            }
            initialized = filled
        }
        if let failure { throw failure }
        return bytes
    }

    var currentPosition: Int64 { position }

    private func block(at index: Int64) -> [UInt8]? {
        uses += 1
        if let found = blocks.firstIndex(where: { $0.index == index }) {
            blocks[found].lastUse = uses
            return blocks[found].bytes
        }
        guard failure == nil else { return nil }
        do {
            let bytes = try fetch(index)
            let block = Block(index: index, bytes: bytes, lastUse: uses)
            if blocks.count < Self.maxBlocks {
                blocks.append(block)
            } else if let oldest = blocks.indices.min(by: { blocks[$0].lastUse < blocks[$1].lastUse }) {
                blocks[oldest] = block
            }
            return bytes
        } catch {
            failure = error
            return nil
        }
    }

    private func fetch(_ index: Int64) throws(WorkerFailure) -> [UInt8] {
        let offset = index * Self.blockBytes
        let count = Int(min(Self.blockBytes, size - offset))
        guard UInt64(count) <= remainingBytes else { throw .limit }
        remainingBytes -= UInt64(count)
        try channel.send(.read(offset: UInt64(offset), count: UInt32(count)))
        guard case .data(let bytes) = try channel.receive(maxBodyBytes: count), bytes.count == count else {
            throw .input
        }
        return bytes
    }
}
