/// Bytes that a stream has received and its reader has not yet consumed: one contiguous region, so that parsers see it whole.
///
/// Owned by one stream. The storage is a block that the loop lends: a buffer that is empty holds none, and one that waits
/// with few bytes holds little more than them.
public struct ReceiveBuffer: ~Copyable {
    /// Fewer bytes than these are moved out of a block when their reader waits for more.
    private static let smallBytes = 1024
    /// What a read should find room for, at least, before the storage grows.
    private static let usefulBytes = 4096

    private let blocks: ReceiveBlocks
    private var storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var head = 0
    private var tail = 0

    init(_ blocks: ReceiveBlocks) { self.blocks = blocks }

    // Not given back: who drops the stream last may be another thread than the loop's.
    deinit { storage.deallocate() }

    /// Bytes that can be consumed.
    @inline(__always)
    public var count: Int { tail - head }

    @inline(__always)
    public var isEmpty: Bool { tail == head }

    /// The unconsumed bytes; the pointer is valid inside the body only.
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(readable)
    }

    @usableFromInline
    var readable: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[head..<tail]) }

    /// Drops bytes from the front.
    public mutating func consume(_ amount: Int) {
        precondition(amount >= 0 && amount <= count)
        head += amount
        if head == tail { release() }
    }

    /// Copies bytes from the front out, and drops them.
    public mutating func take(_ amount: Int) -> [UInt8] {
        precondition(amount >= 0 && amount <= count)
        let bytes = [UInt8](readable[..<amount])
        consume(amount)
        return bytes
    }

    /// Lets the body write at least `capacity` bytes behind the received ones, or as many as useful when `capacity` is no
    /// more than a block has; it returns how many it wrote.
    @inline(__always)
    mutating func append(
        capacity: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int
    ) -> Int {
        reserve(capacity)
        let written = body(UnsafeMutableRawBufferPointer(rebasing: storage[tail...]))
        if written > 0 { tail += written } else if isEmpty { release() }
        return written
    }

    /// Keeps no more memory than the bytes that are here need, if they are few. For waits.
    mutating func shrink() {
        guard !isEmpty, count <= Self.smallBytes, storage.count > 2 * Self.smallBytes else { return }
        let small = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        small.copyMemory(from: readable)
        let bytes = count
        release()
        storage = small
        tail = bytes
    }

    private mutating func release() {
        if storage.count == ReceiveBlocks.blockBytes { blocks.give(storage) } else { storage.deallocate() }
        storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        head = 0
        tail = 0
    }

    private mutating func reserve(_ capacity: Int) {
        let wanted = capacity <= ReceiveBlocks.blockBytes ? min(capacity, Self.usefulBytes) : capacity
        if storage.count - tail >= wanted { return }
        let needed = count + wanted
        if needed <= storage.count, head >= storage.count / 2 {
            storage.copyMemory(from: readable)
            tail -= head
            head = 0
            return
        }
        let larger =
            needed <= ReceiveBlocks.blockBytes && storage.count < ReceiveBlocks.blockBytes
            ? blocks.take() : .allocate(byteCount: max(needed, storage.count * 2), alignment: 16)
        larger.copyMemory(from: readable)
        let bytes = count
        release()
        storage = larger
        tail = bytes
    }
}

/// The blocks that the buffers of one loop's streams borrow. Used on the loop's thread alone.
final class ReceiveBlocks {
    static let blockBytes = 16 * 1024
    /// 1 MiB at most waits for its next use.
    private static let maxFree = 64

    private var free: [UnsafeMutableRawBufferPointer] = []

    init() { free.reserveCapacity(Self.maxFree) }

    deinit { for block in free { block.deallocate() } }

    func take() -> UnsafeMutableRawBufferPointer {
        free.popLast() ?? .allocate(byteCount: Self.blockBytes, alignment: 16)
    }

    func give(_ block: UnsafeMutableRawBufferPointer) {
        if free.count < Self.maxFree { free.append(block) } else { block.deallocate() }
    }
}
