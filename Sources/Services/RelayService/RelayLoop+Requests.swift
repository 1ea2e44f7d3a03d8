import Base
import RelayEngine
import Runtime
import STUN

/// Requests of clients, and the relay sockets that they ask for.
extension RelayLoop {
    func answer(_ request: RawSpan, from tuple: FiveTuple) {
        let outcome = engine.answer(request, from: tuple, now: loop.now, wallTime: WallClock.now(), into: output)
        switch outcome {
        case .silence:
            return
        case .respond(let count), .elsewhere(_, let count):
            respond(count, to: tuple)
        case .respondBy(let other, let count):
            respond(count, to: other)
        case .closeRelay(let closed, let count):
            close(closed)
            respond(count, to: tuple)
        case .closeFamily(let id, let family, let port, let count):
            if let overflows = relays[Int(id.index)]?.close(family) { shared.metrics.overflowed(overflows) }
            shared.ports.close(port, family)
            respond(count, to: tuple)
        case .openRelay(let pending, let former):
            if let former { close(former) }
            respond(open(pending), to: tuple)
        // Nobody is asked unless the realm says so.
        case .ask:
            return
        }
    }

    /// Sends what stands in `output`.
    func respond(_ count: Int, to tuple: FiveTuple) {
        respond(UnsafeMutableRawBufferPointer(rebasing: output[..<count]), to: tuple, isAnswer: true)
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
            if let port = opened.ports[family] { shared.ports.open(port, family) }
        }
        let (id, count) = engine.completeAllocation(pending, opened, credit, now: loop.now, into: output)
        sockets.id = id
        while relays.count <= Int(id.index) { relays.append(nil) }
        relays[Int(id.index)] = sockets
        shared.audit.opened(
            RelaySession.Name(loop: index, id: id), pending, relayed: opener.policy.addresses.relayed(opened.ports),
            now: loop.now)
        return count
    }

    /// - Returns: nil when there is no port for any family.
    private func openSockets(_ pending: PendingAllocation) -> (RelaySockets, OpenedRelay)? {
        guard pending.portWish == .any || pending.portWish == .even else { return nil }
        let sockets = RelaySockets()
        var missing = pending.missingFamily
        for family in pending.families {
            if let socket = opener.open(family, even: pending.portWish == .even), start(socket, sockets) {
                sockets[family] = socket
            } else {
                missing = MissingFamily(family, .insufficientCapacity)
            }
        }
        let ports = sockets.ports
        guard !ports.families.isEmpty else {
            logger.warning("no relay port could be opened")
            return nil
        }
        return (sockets, OpenedRelay(ports: ports, missingFamily: missing))
    }

    /// Has the socket receive from peers.
    private func start(_ socket: UDPSocket, _ sockets: RelaySockets) -> Bool {
        warnOfBuffers(socket.grantedBufferBytes)
        do {
            try socket.start(onError: { [shared] _ in shared.metrics.unreachable(.peers) }) {
                [self] datagram, peer, _ in
                if let id = sockets.id { receiveFromPeer(datagram, from: peer, id) }
            }
            return true
        } catch {
            socket.close()
            return false
        }
    }
}
