import Base
import RelayEngine
import Runtime
import STUN

/// The relay on one event loop: its listeners, its engine, and the sockets of its allocations. Here the engine's actions
/// become I/O.
///
/// `@unchecked Sendable`: `start`, `drain` and `stop` may be called from anywhere and go to the loop; all else is used on
/// the loop's thread alone, which the sockets check.
final class RelayLoop: @unchecked Sendable {
    let loop: EventLoop
    /// Of the event loop among those of the relay.
    let index: Int
    let listeners: [UDPSocket]
    let realmChoice: RelayRealmChoice
    let opener: RelayPortOpener
    let shared: RelaySharedState
    let logger: Logger
    /// The engine's. Access to a stored property is checked for exclusivity at run time, with every packet; this is not.
    private let engineMemory = UnsafeMutablePointer<RelayEngine>.allocate(capacity: 1)
    let relays = RelaySocketTable()
    /// Those of `listeners`, used with every packet.
    private let unmanagedListeners: UnsafeMutableBufferPointer<Unmanaged<UDPSocket>>
    /// Of clients over TCP and TLS.
    var streams: [FiveTuple: RelayStreamConnection] = [:]
    /// Waits until there is none.
    var streamsWaiter: CheckedContinuation<Void, Never>?
    /// Of this loop, in the order of the addresses. Set before `start`.
    var dtlsFronts: [RelayDTLSFront] = []
    private(set) var hasEnded = false
    /// Clients that have said they come from a 5-tuple of this loop with an allocation of another.
    var arrivals: [FiveTuple: Arrival] = [:]
    /// Answers are written here.
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: RelayEngine.maxAnswerByteCount, alignment: 8)
    /// What the listeners and the sockets of the allocations count in.
    private let sockets: DatagramStatistics
    private var carried = RelayStatistics()
    private var carriedDrops = [UInt64](repeating: 0, count: DatagramDrop.allCases.count)
    private var carriedOverflows: UInt32 = 0
    private var hasCheckedBuffers = false
    private var timer: TimerID?

    /// - Parameter listeners: of this loop, at least one, in the same order on every loop.
    init(
        index: Int, listeners: [UDPSocket], engine: consuming RelayEngine, configuration: RelayService.Configuration,
        shared: RelaySharedState, logger: Logger
    ) {
        self.index = index
        self.listeners = listeners
        loop = listeners[0].loop
        sockets = listeners[0].statistics
        realmChoice = RelayRealmChoice(configuration)
        opener = RelayPortOpener(
            policy: engine.policy, ports: configuration.firstRelayPort...configuration.lastRelayPort,
            bufferBytes: configuration.relayBufferBytes, loop: listeners[0].loop, statistics: listeners[0].statistics)
        engineMemory.initialize(to: engine)
        unmanagedListeners = .allocate(capacity: listeners.count)
        _ = unmanagedListeners.initialize(from: listeners.map { Unmanaged.passUnretained($0) })
        self.shared = shared
        self.logger = logger
    }

    deinit {
        output.deallocate()
        unmanagedListeners.deallocate()
        engineMemory.deinitialize(count: 1)
        engineMemory.deallocate()
    }

    var engine: RelayEngine {
        @inline(__always) unsafeAddress { UnsafePointer(engineMemory) }
        @inline(__always) unsafeMutableAddress { engineMemory }
    }

    // MARK: - Any thread

    func start() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            loop.execute {
                continuation.resume(with: Result { try self.begin() })
            }
        }
    }

    /// Whether new allocations are refused.
    func setDraining(_ isDraining: Bool) {
        loop.execute { self.engine.isDraining = isDraining }
    }

    /// Returns when the sockets are closed.
    func stop() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute {
                self.end()
                continuation.resume()
            }
        }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute { self.endStreams(continuation) }
        }
    }

    // MARK: - On the loop

    // What is called for every datagram keeps its owner: a weak or unowned reference would cost each of them reference
    // counting. `end` and `close` break the cycles, by closing the sockets.

    private func begin() throws {
        for (index, listener) in listeners.enumerated() {
            let (port, index) = (listener.localAddress.port, UInt8(index))
            let realm = realmChoice.realm(of: .udp, listener: index)
            try listener.start(onError: { [shared] _ in shared.metrics.unreachable(.clients) }) {
                [self] datagram, client, server in
                // Where the listener has every address, the answer leaves from the one that was asked.
                receive(
                    datagram,
                    from: FiveTuple(
                        client: client, server: SocketAddress(server, port: port), listener: index, realm: realm))
            }
        }
        for front in dtlsFronts { try front.start() }
        tick()
    }

    private func tick() {
        for closed in engine.expire(now: loop.now) { close(closed) }
        forgetArrivals()
        if index == 0 {
            shared.expireReservations(now: loop.now)
            shared.withQuota { [now = loop.now] in $0.sweep(now: now) }
        }
        countConnectionBytes()
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
        let overflows = listeners.reduce(0) { $0 &+ $1.overflowCount }
        shared.metrics.overflowed(UInt64(overflows &- carriedOverflows))
        carriedOverflows = overflows
    }

    private func end() {
        hasEnded = true
        arrivals = [:]
        for front in dtlsFronts { front.close() }
        dtlsFronts = []
        if let timer { loop.cancel(timer) }
        timer = nil
        for closed in engine.closeAll(now: loop.now) { close(closed) }
        carryStatistics()
        for listener in listeners { listener.close() }
    }

    // MARK: - Packets

    /// Takes a message from a client, whatever brought it: valid, and writable, during the call.
    func receive(_ message: UnsafeMutableRawBufferPointer, from tuple: FiveTuple) {
        if !arrivals.isEmpty, meets(message, from: tuple) { return }
        switch engine.receive(message.bytes, from: tuple, now: loop.now) {
        case .none:
            return
        case .relay(let id, let peer, let payload, let dontFragment):
            relays.withSockets(of: id) {
                $0.send(UnsafeRawBufferPointer(rebasing: message[payload]), to: peer, dontFragment: dontFragment)
            }
        case .request:
            answer(message.bytes, from: tuple)
        }
    }

    func receiveFromPeer(
        _ datagram: UnsafeMutableRawBufferPointer, from peer: SocketAddress, _ id: AllocationID
    ) {
        switch engine.receiveFromPeer(id, from: peer, payloadCount: datagram.count, now: loop.now) {
        case .none:
            return
        case .channelData(let channel, let tuple):
            // Messages in a stream begin at multiples of four bytes (RFC 8656 section 12.5).
            let padding = tuple.transport.isStream ? -datagram.count & 3 : 0
            let message = Self.widened(datagram, header: ChannelData.headerByteCount, padding: padding)
            ChannelData.writeHeader(channel: channel, payloadCount: datagram.count, into: message)
            for index in message.count - padding..<message.count { message[index] = 0 }
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

    /// Sends a message to a client by the way that it came.
    ///
    /// - Parameter isAnswer: to a request, not what a peer has sent.
    func respond(_ message: UnsafeMutableRawBufferPointer, to tuple: FiveTuple, isAnswer: Bool = false) {
        if tuple.transport != .udp {
            return respond(overConnection: UnsafeRawBufferPointer(message), to: tuple, isAnswer: isAnswer)
        }
        unmanagedListeners[Int(tuple.listener)]._withUnsafeGuaranteedRef {
            _ = $0.send(UnsafeRawBufferPointer(message), to: tuple.client, from: tuple.server.ip)
        }
    }

    // MARK: - Ends

    func close(_ closed: RelayEngine.Closed) {
        var closed = closed
        if let sockets = relays[closed.id] {
            shared.metrics.overflowed(sockets.close())
            closed.carried(endConnections(sockets))
        }
        relays[closed.id] = nil
        shared.forgetMobile(closed.mobilityNumber)
        for family in closed.ports.families {
            if let port = closed.ports[family] { shared.ports.close(port, family, closed.transport) }
        }
        shared.withQuota { $0.release(for: closed.user) }
        shared.audit.closed(
            RelaySession.Name(loop: self.index, id: closed.id), closed,
            relayed: opener.policy.addresses.relayed(closed.ports), now: loop.now)
    }

    /// Says once where the kernel gives less than is configured; what it gives the first socket it gives the others.
    func checkBuffers(of socket: UDPSocket) {
        guard !hasCheckedBuffers else { return }
        hasCheckedBuffers = true
        let granted = socket.grantedBufferBytes
        guard granted < opener.bufferBytes else { return }
        logger.warning(
            "the kernel gives relay sockets smaller queues than are configured",
            metadata: ["bytes": "\(granted)", "configured": "\(opener.bufferBytes)"])
    }
}
