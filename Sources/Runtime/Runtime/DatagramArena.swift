import Base
import CShims
import Glibc

/// Room for a batch of received datagrams, used by one socket of the loop at a time.
///
/// The kernel may merge datagrams of one size and one source (UDP_GRO); such a message holds them back to back. They are handed
/// out in place, one after the other: what lies before one has been handed out already, and so may be written; what lies behind
/// is put back after the call.
final class DatagramArena {
    static let headroom = 64
    static let tailroom = 64
    static let capacity = 32
    private static let slotBytes = 64 * 1024 + headroom + tailroom

    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: slotBytes * capacity, alignment: 64)
    private let kept = UnsafeMutableRawBufferPointer.allocate(byteCount: tailroom, alignment: 64)
    private let datagrams = UnsafeMutablePointer<skerry_datagram>.allocate(capacity: capacity)
    private let batch: OpaquePointer

    init() {
        for index in 0..<Self.capacity {
            datagrams[index] = skerry_datagram()
            datagrams[index].bytes = memory.baseAddress.map { $0 + index * Self.slotBytes + Self.headroom }
            datagrams[index].capacity = UInt32(Self.slotBytes - Self.headroom - Self.tailroom)
        }
        let batch = skerry_batch_create(datagrams, Int32(Self.capacity))
        guard let batch else { preconditionFailure("no memory for a batch of datagrams") }
        self.batch = batch
    }

    deinit {
        skerry_batch_destroy(batch)
        datagrams.deallocate()
        kept.deallocate()
        memory.deallocate()
    }

    /// At most so many messages by one system call; negative, an errno, when there is nothing.
    ///
    /// - Parameter isPlain: nothing is asked of the socket but bytes and source.
    @inline(__always)
    func receive(from descriptor: Int32, limit: Int, isPlain: Bool) -> Int {
        Int(skerry_batch_receive(batch, descriptor, Int32(limit), isPlain ? 1 : 0))
    }

    /// Whether the first messages of a batch are such as the kernel would have merged, had it been asked to.
    func beginsWithMany(from source: SocketAddress?) -> Bool {
        (1..<4).allSatisfy { self.source($0) == source && datagrams[$0].count == datagrams[0].count }
    }

    /// Where a message came from; nil for families other than IPv4 and IPv6.
    @inline(__always)
    func source(_ index: Int) -> SocketAddress? { SocketAddress(datagrams[index].address) }

    /// Whether the message is several datagrams.
    @inline(__always)
    func isMerged(_ index: Int) -> Bool { datagrams[index].segment > 0 }

    @inline(__always)
    func isTruncated(_ index: Int) -> Bool { datagrams[index].truncated != 0 }

    /// The address that a message was sent to, where the socket was asked to tell.
    @inline(__always)
    func local(_ index: Int) -> IPAddress? {
        let bytes = UnsafeRawPointer(datagrams + index) + MemoryLayout<skerry_datagram>.offset(of: \.local)!
        switch Int32(datagrams[index].local_family) {
        case AF_INET: return IPAddress(v4: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
        case AF_INET6:
            return IPAddress(
                v6High: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        default: return nil
        }
    }

    /// A message that is one datagram.
    @inline(__always)
    func bytes(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: datagrams[index].bytes, count: Int(datagrams[index].count))
    }

    /// Calls the body with each datagram of a message, until it says no.
    ///
    /// - Returns: how many there were.
    @inline(__always)
    func forEachDatagram(in index: Int, _ body: (UnsafeMutableRawBufferPointer) -> Bool) -> Int {
        let count = Int(datagrams[index].count)
        let segment = Int(datagrams[index].segment)
        guard let start = datagrams[index].bytes else { return 0 }
        guard segment > 0, segment < count else {
            _ = body(UnsafeMutableRawBufferPointer(start: start, count: count))
            return 1
        }
        var offset = 0
        var handed = 0
        while offset < count {
            let end = min(offset + segment, count)
            kept.copyMemory(from: UnsafeRawBufferPointer(start: start + end, count: Self.tailroom))
            let goesOn = body(UnsafeMutableRawBufferPointer(start: start + offset, count: end - offset))
            (start + end).copyMemory(from: kept.baseAddress!, byteCount: Self.tailroom)
            handed += 1
            if !goesOn { break }
            offset = end
        }
        return handed
    }
}
