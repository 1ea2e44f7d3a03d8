public import Base
import CShims
import Glibc

/// A UDP socket on one event loop. All work on it is synchronous: no task, no allocation per datagram.
///
/// Datagrams come in batches. Those that are sent while a batch of several is received, by any socket of the loop, leave at its end
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

    /// Batches that are received before other descriptors have their turn.
    private static let maxBatches = 4

    // What every datagram needs stands together, so that it is in two cache lines.

    public let loop: EventLoop
    public let statistics: DatagramStatistics
    private var receiver: Receiver?
    private(set) var descriptor: Int32
    private let isWildcard: Bool
    private var isReceiving = false
    /// Whether what is sent may not be fragmented, as the kernel was last told.
    private(set) var forbidsFragments = false
    /// Whether successive datagrams may leave as one message; false once the kernel has refused one for good.
    var mergesDatagrams = true
    /// Whether the kernel merges what comes. Single datagrams are cheaper without; asked for when one source sends many at once, and
    /// not taken back, since what is merged by then could no longer be told from a single one.
    private var mergesArrivals = false
    private var batchSize = DatagramBatchSize()
    public let localAddress: SocketAddress

    private(set) var onError: ErrorHandler?
    /// Where the last datagram was to go that was larger than the interface takes, and may not be fragmented.
    var tooLargeFor: SocketAddress?
    private var registration: Registration?

    /// Binds. From any thread; `start` and everything after it are on the loop.
    ///
    /// - Parameters:
    ///   - reusePort: several sockets of this process share the address, each on its own loop.
    ///   - isFirst: the first of them, which makes sure that no other process has the address.
    ///   - bufferBytes: of the kernel's queue of what has come, as SO_RCVBUF; nil for its default. The kernel may give less:
    ///     see `grantedBufferBytes`.
    ///   - sendBufferBytes: the same of what is sent, as SO_SNDBUF.
    ///   - statistics: what to count in; by default the socket's own.
    public init(
        bind address: SocketAddress, on loop: EventLoop, reusePort: Bool = false, isFirst: Bool = true,
        bufferBytes: Int? = nil, sendBufferBytes: Int? = nil, statistics: DatagramStatistics = DatagramStatistics()
    ) throws(SystemError) {
        self.loop = loop
        self.statistics = statistics
        isWildcard = address.ip.isUnspecified
        descriptor = try bindSocket(SOCK_DGRAM, to: address, reusePort: reusePort, isFirst: isFirst)
        localAddress = address.port == 0 ? SocketAddress(of: descriptor, getsockname) ?? address : address
        if let bufferBytes { setOption(descriptor, SOL_SOCKET, SO_RCVBUF, Int32(clamping: bufferBytes)) }
        if let sendBufferBytes { setOption(descriptor, SOL_SOCKET, SO_SNDBUF, Int32(clamping: sendBufferBytes)) }
        skerry_udp_prepare(descriptor, localAddress.ip.family == .v4 ? AF_INET : AF_INET6, isWildcard ? 1 : 0)
    }

    /// Takes over what another has detached, with all that waits in the kernel's queues. From any thread.
    ///
    /// - Throws: when it is no bound socket of IPv4 or IPv6.
    public init(
        adopting owned: consuming OwnedDescriptor, on loop: EventLoop,
        statistics: DatagramStatistics = DatagramStatistics()
    ) throws(SystemError) {
        guard let address = SocketAddress(of: owned.number, getsockname) else { throw SystemError("getsockname") }
        self.loop = loop
        self.statistics = statistics
        localAddress = address
        isWildcard = address.ip.isUnspecified
        descriptor = owned.take()
        mergesArrivals = skerry_udp_merges(descriptor) == 1
        // The kernel may have been told otherwise by the former owner.
        skerry_udp_forbid_fragments(descriptor, address.ip.family == .v4 ? AF_INET : AF_INET6, 0)
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// The smaller of the kernel's two queues, in the measure of `init`'s `bufferBytes`. Two system calls.
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
        loop.datagramOutbox.prepare()
        registration = try loop.register(descriptor, [.readable], self)
    }

    /// Sends one datagram.
    ///
    /// - Parameters:
    ///   - local: our address to send from, of those that a socket bound to every address has. Other sockets have but one.
    ///   - dontFragment: neither this host nor a router on the way may fragment it (in IPv4: the DF bit). One that is larger than
    ///     the interface takes is refused, and one that is larger than the path takes comes back as a `DatagramError`. Each
    ///     change between the two ways is a system call.
    /// - Returns: false when the kernel did not take it, which `statistics` counts too. While a batch of several is received it is
    ///   asked later, and the answer is true.
    @discardableResult
    public func send(
        _ bytes: UnsafeRawBufferPointer, to address: SocketAddress, from local: IPAddress? = nil,
        dontFragment: Bool = false
    ) -> Bool {
        loop.preconditionOnLoop()
        guard descriptor >= 0 else { return false }
        if dontFragment != forbidsFragments { switchFragments(forbidden: dontFragment) }
        let source = isWildcard ? local : nil
        if loop.datagramOutbox.isCollecting {
            if bytes.count <= DatagramOutbox.maxDatagramBytes {
                loop.datagramOutbox.add(bytes, to: address, from: source, by: self)
                return true
            }
            loop.datagramOutbox.flush()
        }
        return sendNow(bytes, to: address, from: source)
    }

    /// What was sent before leaves as it was meant to.
    private func switchFragments(forbidden: Bool) {
        loop.datagramOutbox.flush()
        forbidsFragments = forbidden
        skerry_udp_forbid_fragments(
            descriptor, localAddress.ip.family == .v4 ? AF_INET : AF_INET6, forbidden ? 1 : 0)
    }

    @inline(__always)
    private func sendNow(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress, from source: IPAddress?) -> Bool {
        guard bytes.count <= 65_535 else {
            statistics.drop(.tooLarge)
            return false
        }
        var message = skerry_message(bytes, to: address, from: source)
        guard source == nil else { return transmit(&message, 1) == 0 }
        let error = skerry_send_datagram(descriptor, &message)
        statistics.countSendCall()
        guard error == 0 else { return sendAgain(message, -error) == 0 }
        statistics.countSent()
        return true
    }

    /// Closing twice does nothing.
    public func close() {
        loop.preconditionOnLoop()
        guard descriptor >= 0 else { return }
        release()
        Glibc.close(descriptor)
        descriptor = -1
    }

    /// Takes the socket off the loop, for another to adopt. What was sent has left; what comes waits in the kernel's queue.
    ///
    /// - Precondition: not closed, and not within the socket's own receiver, where what has been read already would be lost.
    public func detach() -> OwnedDescriptor {
        loop.preconditionOnLoop()
        precondition(descriptor >= 0 && !isReceiving, "a socket is detached once, and not while it receives")
        release()
        defer { descriptor = -1 }
        return OwnedDescriptor(descriptor)
    }

    private func release() {
        loop.datagramOutbox.flush()
        if let registration { loop.deregister(registration) }
        registration = nil
        receiver = nil
        onError = nil
    }

    public func descriptorIsReady(_ readiness: Readiness) {
        if readiness.contains(.error) { readErrors() }
        guard let receiver else { return }
        batchSize.begin(iteration: loop.counters.iterations.value)
        isReceiving = true
        for _ in 0..<Self.maxBatches where descriptor >= 0 {
            let count = loop.datagramArena.receive(
                from: descriptor, limit: batchSize.limit, isPlain: !mergesArrivals && !isWildcard)
            statistics.countReceiveCall()
            guard count > 0 else { break }
            batchSize.received(count)
            if count == 1, !loop.datagramArena.isMerged(0) {
                handOutOne(to: receiver)
                // It was alone: more will not have come since.
                break
            }
            handOut(count, to: receiver)
            // Where a few came, more have probably come since, and the next call costs less than a turn of the loop. For a whole batch
            // a turn of the loop costs nothing.
            if count == DatagramArena.capacity { break }
        }
        isReceiving = false
    }

    /// What a single datagram brings about leaves at once, uncopied.
    @inline(__always)
    private func handOutOne(to receiver: Receiver) {
        guard let source = loop.datagramArena.source(0), !loop.datagramArena.isTruncated(0) else {
            return statistics.drop(.malformed)
        }
        let local = isWildcard ? loop.datagramArena.local(0) ?? localAddress.ip : localAddress.ip
        statistics.countReceived(1)
        receiver(loop.datagramArena.bytes(0), source, local)
    }

    @inline(never)
    private func handOut(_ count: Int, to receiver: Receiver) {
        let (arena, outbox) = (loop.datagramArena, loop.datagramOutbox)
        if count >= 8, !mergesArrivals, arena.beginsWithMany(from: arena.source(0)) {
            mergesArrivals = true
            skerry_udp_merge(descriptor)
        }
        outbox.isCollecting = true
        for index in 0..<count where descriptor >= 0 { handOut(index, of: arena, to: receiver) }
        outbox.isCollecting = false
        outbox.flush()
    }

    /// This host's own word about a datagram, which is said of each attempt, and does not name the port in IPv4: told once.
    private func tellTooLarge(_ error: DatagramError) {
        guard let destination = tooLargeFor, destination.ip == error.destination.ip else { return }
        tooLargeFor = nil
        onError?(DatagramError(destination: destination, icmp: .tooBig(destination), code: error.code, mtu: error.mtu))
    }

    /// Reads what the kernel keeps, up to a batch of it; it goes on telling while there is more.
    private func readErrors() {
        var report = skerry_udp_error_report()
        for _ in 0..<64 where descriptor >= 0 {
            guard skerry_udp_error(descriptor, &report) == 0 else { return }
            guard let error = DatagramError(report) else { continue }
            if error.icmp == nil, error.code == EMSGSIZE { tellTooLarge(error) } else { onError?(error) }
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
        statistics.countReceived(count)
    }
}
