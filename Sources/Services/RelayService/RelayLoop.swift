import Base
import RelayEngine
import Runtime
import STUN

/// The relay on one event loop: its listener, its engine, and the sockets of its allocations. Here the engine's actions
/// become I/O.
///
/// `@unchecked Sendable`: `start`, `drain` and `stop` may be called from anywhere and go to the loop; all else is used on
/// the loop's thread alone, which the sockets check.
final class RelayLoop: @unchecked Sendable {
    let listener: UDPSocket
    private let bound: IPAddress
    private let configuration: RelayService.Configuration
    private let shared: RelaySharedState
    private let logger: Logger
    private var engine: RelayEngine
    /// By the index of the allocation.
    private var relays: [Relay?] = []
    private let output = UnsafeMutableRawBufferPointer.allocate(
        byteCount: RelayEngine.maxAnswerByteCount, alignment: 8)
    private var carried = RelayStatistics()
    private var carriedDrops = [UInt64](repeating: 0, count: DatagramDrop.allCases.count)
    private var carriedOverflows: UInt32 = 0
    private var hasWarnedOfBuffers = false
    private var timer: TimerID?

    /// An allocation's socket. It receives from before the allocation has its id.
    private final class Relay {
        let socket: UDPSocket
        var id: AllocationID?

        init(_ socket: UDPSocket) { self.socket = socket }
    }

    init(
        listener: UDPSocket, engine: consuming RelayEngine, bound: IPAddress,
        configuration: RelayService.Configuration, shared: RelaySharedState, logger: Logger
    ) {
        self.listener = listener
        self.engine = engine
        self.bound = bound
        self.configuration = configuration
        self.shared = shared
        self.logger = logger
    }

    deinit { output.deallocate() }

    private var loop: EventLoop { listener.loop }
    /// What the listener and the sockets of the allocations count in.
    private var sockets: DatagramStatistics { listener.statistics }

    // MARK: - Any thread

    func start() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            loop.execute {
                continuation.resume(with: Result { try self.begin() })
            }
        }
    }

    func drain() {
        loop.execute { self.engine.isDraining = true }
    }

    /// Returns when the sockets are closed.
    func stop() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute {
                self.end()
                continuation.resume()
            }
        }
    }

    // MARK: - On the loop

    // What is called for every datagram keeps its owner: a weak or unowned reference would cost each of them reference
    // counting. `end` and `close` break the cycles, by closing the sockets.

    private func begin() throws {
        try listener.start(onError: { [shared] _ in shared.metrics.unreachable(.clients) }) {
            [self] datagram, client, server in
            receive(datagram, from: client, at: server)
        }
        tick()
    }

    private func tick() {
        for closed in engine.expire(now: loop.now) { close(closed) }
        carryStatistics()
        timer = loop.schedule(after: .seconds(1)) { [self] in tick() }
    }

    private func carryStatistics() {
        shared.metrics.add(engine.statistics, since: carried)
        carried = engine.statistics
        for reason in DatagramDrop.allCases {
            let dropped = sockets.dropped(reason)
            shared.metrics.dropped(dropped - carriedDrops[reason.rawValue], reason)
            carriedDrops[reason.rawValue] = dropped
        }
        let overflows = listener.overflowCount
        shared.metrics.overflowed(UInt64(overflows &- carriedOverflows))
        carriedOverflows = overflows
    }

    private func end() {
        if let timer { loop.cancel(timer) }
        timer = nil
        for closed in engine.closeAll() { close(closed) }
        carryStatistics()
        listener.close()
    }

    // MARK: - Packets

    private func receive(
        _ datagram: UnsafeMutableRawBufferPointer, from client: SocketAddress, at server: IPAddress
    ) {
        // Where the listener has every address, the answer leaves from the one that was asked.
        let tuple = FiveTuple(client: client, server: SocketAddress(server, port: listener.localAddress.port))
        switch engine.receive(datagram.bytes, from: tuple, now: loop.now) {
        case .none:
            return
        case .relay(let id, let peer, let payload):
            guard let relay = relays[Int(id.index)] else { return }
            relay.socket.send(UnsafeRawBufferPointer(rebasing: datagram[payload]), to: peer)
        case .request:
            answer(datagram.bytes, from: tuple)
        }
    }

    private func receiveFromPeer(
        _ datagram: UnsafeMutableRawBufferPointer, from peer: SocketAddress, _ id: AllocationID
    ) {
        switch engine.receiveFromPeer(id, from: peer, payloadCount: datagram.count, now: loop.now) {
        case .none:
            return
        case .channelData(let channel, let tuple):
            let message = Self.widened(datagram, header: ChannelData.headerByteCount, padding: 0)
            ChannelData.writeHeader(channel: channel, payloadCount: datagram.count, into: message)
            respond(message, to: tuple)
        case .dataIndication(let peer, let transactionID, let tuple):
            let message = Self.widened(
                datagram, header: DataIndication.headerByteCount(peer: peer.ip.family),
                padding: DataIndication.paddingByteCount(payloadCount: datagram.count))
            DataIndication.write(
                into: message, payloadCount: datagram.count, peer: peer, transactionID: transactionID)
            respond(message, to: tuple)
        }
    }

    /// The datagram with the bytes around it, which the socket leaves for headers and padding.
    @inline(__always)
    private static func widened(
        _ datagram: UnsafeMutableRawBufferPointer, header: Int, padding: Int
    ) -> UnsafeMutableRawBufferPointer {
        assert(header <= UDPSocket.headroom)
        return UnsafeMutableRawBufferPointer(
            start: datagram.baseAddress.map { $0 - header }, count: header + datagram.count + padding)
    }

    private func respond(_ message: UnsafeMutableRawBufferPointer, to tuple: FiveTuple) {
        listener.send(UnsafeRawBufferPointer(message), to: tuple.client, from: tuple.server.ip)
    }

    // MARK: - Requests

    private func answer(_ request: RawSpan, from tuple: FiveTuple) {
        let outcome = engine.answer(request, from: tuple, now: loop.now, wallTime: WallClock.now(), into: output)
        switch outcome {
        case .silence:
            return
        case .respond(let count):
            respond(UnsafeMutableRawBufferPointer(rebasing: output[..<count]), to: tuple)
        case .closeRelay(let closed, let count):
            close(closed)
            respond(UnsafeMutableRawBufferPointer(rebasing: output[..<count]), to: tuple)
        case .openRelay(let pending, let former):
            if let former { close(former) }
            let count = open(pending)
            respond(UnsafeMutableRawBufferPointer(rebasing: output[..<count]), to: tuple)
        }
    }

    /// - Returns: the size of the answer in `output`.
    private func open(_ pending: PendingAllocation) -> Int {
        if let refusal = shared.withQuota({ $0.reserve(for: pending.user) }) {
            return engine.refuseAllocation(pending, refusal, into: output)
        }
        guard let relay = openSocket(even: pending.wantsEvenPort) else {
            shared.withQuota { $0.release(for: pending.user) }
            logger.warning("no relay port could be opened")
            return engine.refuseAllocation(pending, .insufficientCapacity, into: output)
        }
        let port = relay.socket.localAddress.port
        shared.ports.open(port, bound.family)
        let (id, count) = engine.completeAllocation(pending, port: port, now: loop.now, into: output)
        relay.id = id
        while relays.count <= Int(id.index) { relays.append(nil) }
        relays[Int(id.index)] = relay
        return count
    }

    /// A socket at a random port of the range; a port in use costs another try.
    private func openSocket(even: Bool) -> Relay? {
        for _ in 0..<64 {
            let port = UInt16.random(in: configuration.firstRelayPort...configuration.lastRelayPort)
            if even, port % 2 != 0 { continue }
            guard
                let socket = try? UDPSocket(
                    bind: SocketAddress(bound, port: port), on: loop, bufferBytes: configuration.relayBufferBytes,
                    statistics: sockets)
            else { continue }
            warnOfBuffers(socket.grantedBufferBytes)
            let relay = Relay(socket)
            do {
                try socket.start(onError: { [shared] _ in shared.metrics.unreachable(.peers) }) {
                    [self] datagram, peer, _ in
                    if let id = relay.id { receiveFromPeer(datagram, from: peer, id) }
                }
                return relay
            } catch {
                socket.close()
                return nil
            }
        }
        return nil
    }

    private func warnOfBuffers(_ granted: Int) {
        guard granted < configuration.relayBufferBytes, !hasWarnedOfBuffers else { return }
        hasWarnedOfBuffers = true
        logger.warning(
            "the kernel gives relay sockets smaller queues than are configured",
            metadata: ["bytes": "\(granted)", "configured": "\(configuration.relayBufferBytes)"])
    }

    private func close(_ closed: RelayEngine.Closed) {
        let index = Int(closed.id.index)
        if let socket = relays[index]?.socket { shared.metrics.overflowed(UInt64(socket.overflowCount)) }
        relays[index]?.socket.close()
        relays[index] = nil
        shared.ports.close(closed.relayed.port, closed.relayed.ip.family)
        shared.withQuota { $0.release(for: closed.user) }
    }
}
