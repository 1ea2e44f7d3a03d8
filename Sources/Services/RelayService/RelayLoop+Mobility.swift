import Base
import RelayEngine
import Runtime
import STUN

/// A client's way from one event loop to another (RFC 8016): the kernel gives the packets of its new address to any loop. The loop that
/// has the allocation answers the Refresh request, and hands the allocation over when the client first uses its new address.
struct Arrival {
    /// The loop that has the allocation.
    let former: RelayLoop
    /// Of the allocation. Only the last 5-tuple that was announced for it counts.
    let number: UInt64
    /// When the loop stops waiting for the client.
    var expiresAt: MonotonicInstant
    /// Messages that came while the allocation was on its way.
    var held: [[UInt8]] = []
    var isUnderWay = false

    static let lifetime = Duration.seconds(60)
    static let maxHeld = 32
    static let maxCount = 1024
}

extension RelayLoop {
    // MARK: - The loop to which the client comes

    /// Has a Refresh request answered by the loop that has the allocation.
    ///
    /// - Returns: false when none has.
    func handOver(_ request: RawSpan, from tuple: FiveTuple, about number: UInt64) -> Bool {
        guard let former = shared.loopOfMobile(number), former !== self else { return false }
        if arrivals[tuple] == nil {
            for (other, arrival) in arrivals where arrival.number == number && !arrival.isUnderWay {
                arrivals[other] = nil
            }
            guard arrivals.count < Arrival.maxCount else { return false }
            arrivals[tuple] = Arrival(former: former, number: number, expiresAt: loop.now + Arrival.lifetime)
        }
        let copy = request.withUnsafeBytes { Array($0) }
        return former.loop.execute { former.serve(copy, from: tuple, for: self) }
    }

    /// Sends what another loop has written.
    private func respond(_ answer: [UInt8], to tuple: FiveTuple) {
        var answer = answer
        answer.withUnsafeMutableBytes { respond($0, to: tuple, isAnswer: true) }
    }

    /// Whether a message is for an allocation that is to come, or is coming, here.
    func meets(_ message: UnsafeMutableRawBufferPointer, from tuple: FiveTuple) -> Bool {
        guard var arrival = arrivals[tuple], RelayEngine.isUse(message.bytes) else { return false }
        if arrival.held.count < Arrival.maxHeld { arrival.held.append(Array(message)) }
        if !arrival.isUnderWay {
            arrival.isUnderWay = true
            let former = arrival.former
            if !former.loop.execute({ former.release(tuple, to: self) }) {
                arrivals[tuple] = nil
                return false
            }
        }
        arrivals[tuple] = arrival
        return true
    }

    /// Takes over an allocation with its sockets, and goes on with what the client has sent meanwhile.
    private func welcome(
        _ transit: AllocationInTransit, _ sockets: MovingSockets, at tuple: FiveTuple, _ number: UInt64
    ) {
        let held = arrivals.removeValue(forKey: tuple)?.held ?? []
        guard let (id, displaced) = engine.install(transit, now: loop.now) else { return }
        if let displaced { close(displaced) }
        let relay = RelaySockets()
        for socket in sockets.take() { adopt(socket, into: relay) }
        place(relay, id, mobilityNumber: number)
        if let revoked = engine.closeIfRevoked(id, now: loop.now, wallTime: WallClock.now()) {
            close(revoked)
        } else if hasEnded {
            for closed in engine.closeAll(now: loop.now) { close(closed) }
        } else if !isConnected(tuple) {
            clientGone(tuple)
        } else {
            for var message in held { message.withUnsafeMutableBytes { receive($0, from: tuple) } }
        }
    }

    private func forget(_ tuple: FiveTuple) { arrivals[tuple] = nil }

    func forgetArrivals() {
        if !arrivals.isEmpty { arrivals = arrivals.filter { $0.value.expiresAt > loop.now } }
    }

    // MARK: - The loop that the client leaves

    /// Answers a Refresh request that came to another loop.
    private func serve(_ request: [UInt8], from tuple: FiveTuple, for other: RelayLoop) {
        guard let (count, tuple) = serve(request.span.bytes, from: tuple) else { return }
        let answer = Array(output[..<count])
        other.loop.execute { other.respond(answer, to: tuple) }
    }

    /// Gives the allocation of a client that has arrived to the loop where it has.
    private func release(_ tuple: FiveTuple, to other: RelayLoop) {
        guard let (id, number, transit) = engine.depart(to: tuple), let relay = relays[id] else {
            other.loop.execute { other.forget(tuple) }
            return
        }
        relays[id] = nil
        relay.id = nil
        let sockets = MovingSockets(relay, to: other.loop, statistics: other.listeners[0].statistics)
        other.loop.execute { other.welcome(transit, sockets, at: tuple, number) }
    }
}

/// An allocation's sockets between two loops, not receiving.
///
/// `@unchecked Sendable`: made on the one, used on the other.
private final class MovingSockets: @unchecked Sendable {
    private var sockets: [UDPSocket]

    /// On the loop that has them.
    init(_ relay: RelaySockets, to loop: EventLoop, statistics: DatagramStatistics) {
        sockets = [relay.v4, relay.v6].compactMap { socket in
            guard let socket else { return nil }
            return try? UDPSocket(adopting: socket.detach(), on: loop, statistics: statistics)
        }
    }

    func take() -> [UDPSocket] {
        defer { sockets = [] }
        return sockets
    }
}
