/// Bytes that a stream has received and its reader has not yet consumed: one contiguous region, so that parsers see it whole.
///
/// Owned by one stream; the storage is given back when the buffer runs empty after having grown.
public struct ReceiveBuffer: ~Copyable {
    private static let keptCapacity = 16 * 1024
    private var storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var head = 0
    private var tail = 0

    init() {}

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
        if head == tail {
            head = 0
            tail = 0
            if storage.count > Self.keptCapacity {
                storage.deallocate()
                storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            }
        }
    }

    /// Copies bytes from the front out, and drops them.
    public mutating func take(_ amount: Int) -> [UInt8] {
        precondition(amount >= 0 && amount <= count)
        let bytes = [UInt8](readable[..<amount])
        consume(amount)
        return bytes
    }

    /// Lets the body write at least `capacity` bytes behind the received ones; it returns how many it wrote.
    @inline(__always)
    mutating func append(
        capacity: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int
    ) -> Int {
        reserve(capacity)
        let written = body(UnsafeMutableRawBufferPointer(rebasing: storage[tail...]))
        if written > 0 { tail += written }
        return written
    }

    private mutating func reserve(_ capacity: Int) {
        if storage.count - tail >= capacity { return }
        let needed = count + capacity
        if needed <= storage.count, head >= storage.count / 2 {
            storage.copyMemory(from: readable)
        } else {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(needed, storage.count * 2), alignment: 16)
            larger.copyMemory(from: readable)
            storage.deallocate()
            storage = larger
        }
        tail -= head
        head = 0
    }
}
