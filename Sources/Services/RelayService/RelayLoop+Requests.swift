import Base
import RelayEngine
import Runtime
import STUN

/// Requests of clients, and the relay sockets that they ask for.
extension RelayLoop {
    /// - Parameter isRepeated: the operator's server was asked about the request already, and is not again.
    func answer(_ request: RawSpan, from tuple: FiveTuple, isRepeated: Bool = false) {
        if let (count, tuple) = serve(request, from: tuple, isRepeated: isRepeated) { respond(count, to: tuple) }
    }

    /// Asks the operator's server who that is, and answers then: over TCP nobody sends the request again.
    private func ask(_ query: AuthorizationQuery, about request: RawSpan, from tuple: FiveTuple) {
        let copy = request.withUnsafeBytes { Array($0) }
        shared.hook?.ask(query, from: tuple.client.ip) { [self] answer in
            loop.execute { [self] in
                guard !hasEnded else { return }
                engine.learn(query, answer, now: loop.now, wallTime: WallClock.now())
                guard isConnected(tuple) else { return }
                copy.withUnsafeBytes { self.answer($0.bytes, from: tuple, isRepeated: true) }
            }
        }
    }

    /// Sends what stands in `output`.
    func respond(_ count: Int, to tuple: FiveTuple) {
        respond(UnsafeMutableRawBufferPointer(rebasing: output[..<count]), to: tuple, isAnswer: true)
    }

    /// - Returns: the size of the answer in `output`, and where it goes; nil when there is none now.
    func serve(
        _ request: RawSpan, from tuple: FiveTuple, isRepeated: Bool = false
    ) -> (count: Int, to: FiveTuple)? {
        let outcome = engine.answer(request, from: tuple, now: loop.now, wallTime: WallClock.now(), into: output)
        switch outcome {
        case .silence:
            return nil
        case .respond(let count):
            return (count, tuple)
        case .respondBy(let other, let count):
            return (count, other)
        case .elsewhere(let number, let refusal):
            return handOver(request, from: tuple, about: number) ? nil : (refusal, tuple)
        case .closeRelay(let closed, let count):
            close(closed)
            return (count, tuple)
        case .closeFamily(let id, let family, let port, let count):
            if let overflows = relays[id]?.close(family) { shared.metrics.overflowed(overflows) }
            shared.ports.close(port, family)
            return (count, tuple)
        case .openRelay(let pending, let former):
            if let former { close(former) }
            return (open(pending), tuple)
        case .connect(let pending):
            connect(pending)
            return nil
        case .bindConnection(let pending):
            return (bind(pending), tuple)
        case .ask(let query):
            if !isRepeated { ask(query, about: request, from: tuple) }
            return nil
        }
    }

    /// - Returns: the size of the answer in `output`.
    private func open(_ pending: PendingAllocation) -> Int {
        let credit: BandwidthCredit
        switch shared.withQuota({ [now = loop.now] in $0.reserve(for: pending.user, now: now) }) {
        case .success(let reserved): credit = reserved
        case .failure(let refusal): return engine.refuseAllocation(pending, refusal, into: output)
        }
        guard let (sockets, opened) = openSockets(pending) else {
            shared.withQuota { $0.release(for: pending.user) }
            return engine.refuseAllocation(pending, .insufficientCapacity, into: output)
        }
        for family in opened.ports.families {
            if let port = opened.ports[family] { shared.ports.open(port, family, pending.transport) }
        }
        let (id, number, count) = engine.completeAllocation(pending, opened, credit, now: loop.now, into: output)
        place(sockets, id, mobilityNumber: number)
        shared.audit.opened(
            RelaySession.Name(loop: index, id: id), pending, relayed: opener.policy.addresses.relayed(opened.ports),
            now: loop.now)
        return count
    }

    /// Has the sockets be those of an allocation.
    func place(_ sockets: RelaySockets, _ id: AllocationID, mobilityNumber: UInt64) {
        sockets.id = id
        relays[id] = sockets
        shared.rememberMobile(mobilityNumber, at: index)
    }

    /// - Returns: nil when there is no port for any family.
    private func openSockets(_ pending: PendingAllocation) -> (RelaySockets, OpenedRelay)? {
        let sockets = RelaySockets()
        var opened = OpenedRelay(ports: AllocatedPorts(), missingFamily: pending.missingFamily)
        if pending.transport == .tcp {
            if let family = pending.families.first, let endpoint = opener.openEndpoint(family) {
                adopt(endpoint, into: sockets)
            }
            opened.ports = sockets.ports
        } else if !openSockets(pending, sockets, &opened) {
            return nil
        }
        guard !opened.ports.families.isEmpty else {
            shared.warnOfPorts(logger, now: loop.now)
            return nil
        }
        return (sockets, opened)
    }

    /// - Returns: false when what was asked for is not to be had.
    private func openSockets(
        _ pending: PendingAllocation, _ sockets: RelaySockets, _ opened: inout OpenedRelay
    ) -> Bool {
        switch pending.portWish {
        case .reserved(let token):
            guard let kept = shared.takeReserved(token, for: pending.user, now: loop.now) else { return false }
            guard let socket = kept.move(to: loop, statistics: listeners[0].statistics) else { return false }
            adopt(socket, into: sockets)
        case .evenAndNext:
            guard let family = pending.families.first, shared.hasRoomForReservation(of: pending.user),
                let (socket, next) = opener.openPair(family)
            else { return false }
            adopt(socket, into: sockets)
            opened.reservationToken = shared.reserve(ReservedPort(next), for: pending.user, now: loop.now)
        case .any, .even:
            for family in pending.families {
                if let socket = opener.open(family, even: pending.portWish == .even) {
                    adopt(socket, into: sockets)
                } else {
                    opened.missingFamily = MissingFamily(family, .insufficientCapacity)
                }
            }
        }
        opened.ports = sockets.ports
        return true
    }

    /// Has the socket receive from peers, as one of an allocation's.
    func adopt(_ socket: UDPSocket, into sockets: RelaySockets) {
        do {
            try socket.start(onError: { [self] error in tell(error, sockets.id) }) { [self] datagram, peer, _ in
                if let id = sockets.id { receiveFromPeer(datagram, from: peer, id) }
            }
            sockets[socket.localAddress.ip.family] = socket
            checkBuffers(of: socket)
        } catch {
            logger.warning("a relay socket cannot receive", metadata: ["error": "\(error)"])
            socket.close()
        }
    }

    /// What the network says about a datagram to a peer.
    private func tell(_ error: DatagramError, _ id: AllocationID?) {
        shared.metrics.unreachable(.peers)
        guard let id, let icmp = error.icmp else { return }
        let told = engine.receiveError(
            id,
            RelayEngine.NetworkError(peer: error.destination, type: icmp.type, code: icmp.code, mtu: error.mtu),
            now: loop.now, into: output)
        if let (count, tuple) = told {
            respond(UnsafeMutableRawBufferPointer(rebasing: output[..<count]), to: tuple, isAnswer: false)
        }
    }
}
