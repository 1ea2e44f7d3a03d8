public import Base
import CShims
import Glibc

/// A UDP socket on one event loop. All work on it is synchronous: no task, no allocation per datagram.
///
/// Datagrams come in batches. Those that are sent while a batch is received, by any socket of the loop, leave at its end
/// together; all others leave at once.
///
/// `@unchecked Sendable`: used on `loop`'s thread alone; the entries check it.
public final class UDPSocket: DescriptorHandler, @unchecked Sendable {
    /// Bytes before every received datagram that the receiver may write, so that a header goes in front without a copy.
    public static var headroom: Int { DatagramArena.headroom }
    /// Bytes behind it that the receiver may write, for padding.
    public static var tailroom: Int { DatagramArena.tailroom }

    /// - Parameters:
    ///   - datagram: valid, and writable, during the call only.
    ///   - to: our address that it was sent to.
    public typealias Receiver = (
        _ datagram: UnsafeMutableRawBufferPointer, _ from: SocketAddress, _ to: IPAddress
    ) -> Void
    public typealias ErrorHandler = (DatagramError) -> Void

    public let loop: EventLoop
    public let localAddress: SocketAddress
    public let statistics: DatagramStatistics
    /// Whether successive datagrams may leave as one message; false once the kernel has refused one for good.
    private(set) var mergesDatagrams = true

    /// Batches that are received before other descriptors have their turn.
    private static let maxBatches = 4
    private let isWildcard: Bool
    private(set) var descriptor: Int32
    private var registration: Registration?
    private var receiver: Receiver?
    private var onError: ErrorHandler?
    /// Messages that the next call asks for: one call for a single datagram looks no second time.
    private var batchLimit = DatagramArena.capacity

    /// Binds. From any thread; `start` and everything after it are on the loop.
    ///
    /// - Parameters:
    ///   - reusePort: several sockets of this process share the address, each on its own loop.
    ///   - isFirst: the first of them, which makes sure that no other process has the address.
    ///   - bufferBytes: of each of the kernel's two queues, as SO_RCVBUF and SO_SNDBUF; nil for its default. The kernel may
    ///     give less: see `grantedBufferBytes`.
    ///   - statistics: what to count in; by default the socket's own.
    public init(
        bind address: SocketAddress, on loop: EventLoop, reusePort: Bool = false, isFirst: Bool = true,
        bufferBytes: Int? = nil, statistics: DatagramStatistics = DatagramStatistics()
    ) throws(SystemError) {
        self.loop = loop
        self.statistics = statistics
        isWildcard = address.ip.isUnspecified
        descriptor = try bindSocket(SOCK_DGRAM, to: address, reusePort: reusePort, isFirst: isFirst)
        localAddress = SocketAddress(of: descriptor, getsockname) ?? address
        if let bufferBytes {
            setOption(descriptor, SOL_SOCKET, SO_RCVBUF, Int32(clamping: bufferBytes))
            setOption(descriptor, SOL_SOCKET, SO_SNDBUF, Int32(clamping: bufferBytes))
        }
        skerry_udp_prepare(descriptor, address.ip.family == .v4 ? AF_INET : AF_INET6, isWildcard ? 1 : 0)
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// The smaller of the kernel's two queues, in the measure of `init`'s `bufferBytes`.
    public var grantedBufferBytes: Int {
        // The kernel doubles what it is asked for, for its own book-keeping.
        Int(min(option(descriptor, SOL_SOCKET, SO_RCVBUF), option(descriptor, SOL_SOCKET, SO_SNDBUF))) / 2
    }

    /// Datagrams that came while the kernel's queue was full, so far.
    public var overflowCount: UInt32 {
        loop.preconditionOnLoop()
        return descriptor < 0 ? 0 : skerry_udp_receive_drops(descriptor)
    }

    /// Begins to receive.
    ///
    /// - Parameter onError: is told what the network says about datagrams that were sent. Without it that is not asked for.
    public func start(onError: ErrorHandler? = nil, _ receiver: @escaping Receiver) throws(SystemError) {
        loop.preconditionOnLoop()
        self.receiver = receiver
        self.onError = onError
        if onError != nil {
            skerry_udp_report_errors(descriptor, localAddress.ip.family == .v4 ? AF_INET : AF_INET6)
        }
        if loop.datagramOutbox == nil { loop.datagramOutbox = DatagramOutbox() }
        registration = try loop.register(descriptor, [.readable], self)
    }

    /// Sends one datagram.
    ///
    /// - Parameter local: our address to send from, of those that a socket bound to every address has. Other sockets have but
    ///   one.
    /// - Returns: false when the kernel did not take it, which `statistics` counts too. While a batch is received it is asked
    ///   later, and the answer is true.
    @discardableResult
    public func send(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress, from local: IPAddress? = nil) -> Bool {
        loop.preconditionOnLoop()
        guard descriptor >= 0 else { return false }
        let source = isWildcard ? local : nil
        if let outbox = loop.datagramOutbox, outbox.isCollecting {
            if bytes.count <= DatagramOutbox.maxDatagramBytes {
                outbox.add(bytes, to: address, from: source, by: self)
                return true
            }
            outbox.flush()
        }
        return sendNow(bytes, to: address, from: source)
    }

    private func sendNow(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress, from source: IPAddress?) -> Bool {
        guard bytes.count <= 65_535 else {
            statistics.drop(.tooLarge)
            return false
        }
        var message = skerry_message(bytes, to: address, from: source)
        return transmit(&message, 1) == 0
    }

    /// Closing twice does nothing.
    public func close() {
        loop.preconditionOnLoop()
        guard descriptor >= 0 else { return }
        loop.datagramOutbox?.flush()
        if let registration { loop.deregister(registration) }
        registration = nil
        receiver = nil
        onError = nil
        Glibc.close(descriptor)
        descriptor = -1
    }

    public func descriptorIsReady(_ readiness: Readiness) {
        if readiness.contains(.error) { readErrors() }
        // The receiver may close this socket: the arena is lent, not shared.
        guard let receiver, let outbox = loop.datagramOutbox else { return }
        let arena = loop.borrowDatagramArena()
        for _ in 0..<Self.maxBatches where descriptor >= 0 {
            let count = arena.receive(from: descriptor, limit: batchLimit)
            statistics.receiveCalls += 1
            guard count > 0 else { break }
            batchLimit = count == batchLimit ? min(DatagramArena.capacity, batchLimit * 4) : count
            outbox.isCollecting = true
            for index in 0..<count where descriptor >= 0 { handOut(index, of: arena, to: receiver) }
            outbox.isCollecting = false
            outbox.flush()
            // Where a few came, more have probably come since, and the next call costs less than a turn of the loop. A single one
            // was alone, and for a whole batch a turn of the loop costs nothing.
            if count == 1 || count == DatagramArena.capacity { break }
        }
        loop.returnDatagramArena(arena)
    }

    /// Reads what the kernel keeps, up to a batch of it; it goes on telling while there is more.
    private func readErrors() {
        var report = skerry_udp_error_report()
        for _ in 0..<64 where descriptor >= 0 {
            guard skerry_udp_error(descriptor, &report) == 0 else { return }
            if let error = DatagramError(report) { onError?(error) }
        }
    }

    @inline(__always)
    private func handOut(_ index: Int, of arena: DatagramArena, to receiver: Receiver) {
        guard let source = arena.source(index), !arena.isTruncated(index) else { return statistics.drop(.malformed) }
        let local = isWildcard ? arena.local(index) ?? localAddress.ip : localAddress.ip
        let count = arena.forEachDatagram(in: index) { datagram in
            receiver(datagram, source, local)
            return descriptor >= 0
        }
        statistics.received += UInt64(count)
    }
}

// MARK: - Sending

extension UDPSocket {
    /// Gives messages to the kernel. One that it does not take is lost alone.
    ///
    /// - Returns: datagrams that it did not take.
    @discardableResult
    func transmit(_ messages: UnsafePointer<skerry_message>, _ count: Int) -> Int {
        var lost = 0
        var next = 0
        while next < count {
            let taken = Int(skerry_send_messages(descriptor, messages + next, Int32(count - next)))
            statistics.sendCalls += 1
            if taken > 0 {
                for index in next..<next + taken { statistics.sent += UInt64(messages[index].datagramCount) }
                next += taken
            } else {
                lost += sendAgain(messages[next], Int32(-taken))
                next += 1
            }
        }
        return lost
    }

    /// After a refusal: several datagrams one by one. A single one again if the error may be one that another has met, which the
    /// kernel tells to whoever calls next.
    private func sendAgain(_ message: skerry_message, _ code: Int32) -> Int {
        if message.segment > 0 {
            statistics.refusedMessages += 1
            // Neither the device nor the kernel can fill in the checksums; that will not change.
            if code == EIO { mergesDatagrams = false }
            var lost = 0
            var single = message
            single.segment = 0
            for offset in stride(from: 0, to: Int(message.count), by: Int(message.segment)) {
                single.bytes = message.bytes + offset
                single.count = min(UInt32(message.segment), message.count - UInt32(offset))
                lost += transmit(&single, 1)
            }
            return lost
        }
        var code = code
        if onError != nil, Self.isFromNetwork(code) {
            var single = message
            let taken = skerry_send_messages(descriptor, &single, 1)
            statistics.sendCalls += 1
            if taken == 1 {
                statistics.sent += 1
                return 0
            }
            code = -taken
        }
        statistics.drop(Self.reason(code))
        return 1
    }

    private static func isFromNetwork(_ code: Int32) -> Bool {
        reason(code) == .unreachable || code == EMSGSIZE || code == EPROTO
    }

    private static func reason(_ code: Int32) -> DatagramDrop {
        switch code {
        case EAGAIN, ENOBUFS, ENOMEM: .queueFull
        case ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, EHOSTDOWN, ENETDOWN, EADDRNOTAVAIL: .unreachable
        case EMSGSIZE: .tooLarge
        case EPERM, EACCES: .forbidden
        default: .other
        }
    }
}

extension skerry_message {
    var datagramCount: Int { segment == 0 ? 1 : (Int(count) + Int(segment) - 1) / Int(segment) }
}
