public import Base
import CShims
import Glibc

/// A UDP socket on one event loop. All work on it is synchronous: no task, no allocation per datagram.
///
/// `@unchecked Sendable`: used on `loop`'s thread alone; the entries check it.
public final class UDPSocket: DescriptorHandler, @unchecked Sendable {
    /// Bytes before every received datagram that the receiver may write, so that a header goes in front without a copy.
    public static var headroom: Int { DatagramArena.headroom }
    /// Bytes behind it that the receiver may write, for padding.
    public static var tailroom: Int { DatagramArena.tailroom }

    public typealias Receiver = (_ datagram: UnsafeMutableRawBufferPointer, _ from: SocketAddress) -> Void

    public let loop: EventLoop
    public let localAddress: SocketAddress
    /// Datagrams that the kernel did not take.
    public private(set) var droppedSends: UInt64 = 0

    private var descriptor: Int32
    private var registration: Registration?
    private var receiver: Receiver?

    /// Binds. From any thread; `start` and everything after it are on the loop.
    ///
    /// - Parameters:
    ///   - reusePort: several sockets of this process share the address, each on its own loop.
    ///   - isFirst: the first of them, which makes sure that no other process has the address.
    ///   - receiveBufferBytes: of the kernel's queue, as SO_RCVBUF; nil for its default.
    public init(
        bind address: SocketAddress, on loop: EventLoop, reusePort: Bool = false, isFirst: Bool = true,
        receiveBufferBytes: Int? = nil
    ) throws(SystemError) {
        self.loop = loop
        descriptor = try bindSocket(SOCK_DGRAM, to: address, reusePort: reusePort, isFirst: isFirst)
        localAddress = SocketAddress(of: descriptor, getsockname) ?? address
        if let receiveBufferBytes {
            setOption(descriptor, SOL_SOCKET, SO_RCVBUF, Int32(clamping: receiveBufferBytes))
            setOption(descriptor, SOL_SOCKET, SO_SNDBUF, Int32(clamping: receiveBufferBytes))
        }
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Begins to receive. The datagram's bytes are valid, and writable, during the call only.
    public func start(_ receiver: @escaping Receiver) throws(SystemError) {
        loop.preconditionOnLoop()
        self.receiver = receiver
        registration = try loop.register(descriptor, [.readable], self)
    }

    /// Sends one datagram.
    ///
    /// - Returns: false when the kernel did not take it: the queue is full, or the destination cannot be reached.
    @discardableResult
    public func send(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress) -> Bool {
        guard descriptor >= 0 else { return false }
        let sent = address.withSockaddr {
            sendto(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), $0, $1)
        }
        if sent < 0 { droppedSends += 1 }
        return sent >= 0
    }

    /// Closing twice does nothing.
    public func close() {
        loop.preconditionOnLoop()
        guard descriptor >= 0 else { return }
        if let registration { loop.deregister(registration) }
        registration = nil
        receiver = nil
        Glibc.close(descriptor)
        descriptor = -1
    }

    public func descriptorIsReady(_ readiness: Readiness) {
        // The receiver may close this socket, or start a nested receive on another: the arena is lent, not shared.
        let arena = loop.borrowDatagramArena()
        defer { loop.returnDatagramArena(arena) }
        guard let receiver else { return }
        let count = arena.receive(from: descriptor)
        for index in 0..<max(0, count) {
            guard descriptor >= 0 else { return }
            guard let (datagram, source) = arena.datagram(index) else { continue }
            receiver(datagram, source)
        }
    }
}

/// Room for a batch of received datagrams, lent to one socket at a time.
final class DatagramArena {
    static let headroom = 64
    static let tailroom = 64
    private static let slotBytes = 64 * 1024 + headroom + tailroom
    private static let capacity = 32

    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: slotBytes * capacity, alignment: 64)
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
        memory.deallocate()
    }

    /// One recvmmsg; negative when there is nothing.
    func receive(from descriptor: Int32) -> Int {
        Int(skerry_batch_receive(batch, descriptor))
    }

    /// Nil for a source that is neither IPv4 nor IPv6.
    func datagram(_ index: Int) -> (UnsafeMutableRawBufferPointer, SocketAddress)? {
        guard let source = SocketAddress(datagrams[index].address), datagrams[index].truncated == 0 else { return nil }
        let (bytes, count) = (datagrams[index].bytes, Int(datagrams[index].count))
        return (UnsafeMutableRawBufferPointer(start: bytes, count: count), source)
    }
}

extension EventLoop {
    func borrowDatagramArena() -> DatagramArena {
        let arena = spareDatagramArena ?? DatagramArena()
        spareDatagramArena = nil
        return arena
    }

    func returnDatagramArena(_ arena: DatagramArena) { spareDatagramArena = arena }
}
