public import Base
import STUN
import Synchronization

/// An allocation on its way from one event loop to another. Taken once.
public final class AllocationInTransit: Sendable {
    private let held: Mutex<Allocation?>

    init(_ allocation: consuming sending Allocation) { held = Mutex(allocation) }

    func take() -> Allocation? { held.withLock { $0.take() } }
}

/// Mobility (RFC 8016): a client that comes from another address shows the ticket of its allocation in a Refresh request. It is heard
/// on both paths until it uses the new one, and then there alone.
extension RelayEngine {
    /// The number of the next mobile allocation.
    mutating func takeMobilityNumber() -> UInt64 {
        defer { nextMobilityNumber += 1 }
        return nextMobilityNumber
    }

    /// Answers a Refresh request that has a ticket.
    mutating func move(
        _ message: borrowing STUNMessage, _ answer: Answer, _ identity: Identity, _ id: AllocationID?,
        ticket: [UInt8], now: MonotonicInstant
    ) -> RequestOutcome {
        guard configuration.allowsMobility else { return fail(.mobilityForbidden, answer) }
        guard let number = tickets.number(in: ticket, of: identity.owner) else { return fail(.badRequest, answer) }
        if let id, allocations[id].mobilityNumber != number { return fail(.allocationMismatch, answer) }
        guard let id = id ?? allocations.id(ofMobilityNumber: number) else {
            return .elsewhere(number: number, refusal: answer.refuse(.allocationMismatch))
        }
        guard allocations[id].expiresAt > now else { return fail(.allocationMismatch, answer) }
        guard identity.isOwner(of: allocations[id].identity) else { return fail(.wrongCredentials, answer) }
        // A token names nobody: elsewhere it has to be the very one that the allocation was last renewed with.
        guard identity.proof != .accessToken || identity.key == allocations[id].identity.key else {
            return fail(.wrongCredentials, answer)
        }
        allocations[id].renew(identity)
        if message.number(.lifetime) == 0 { return delete(message, answer, id, now: now) }
        let isThere = allocations[id].tuple == answer.tuple || allocations[id].nextTuple == answer.tuple
        if !isThere {
            // One that has expired, and that no sweep has taken yet, is in the way; a second later it is not.
            guard allocations.id(of: answer.tuple) == nil else { return fail(.allocationMismatch, answer) }
            allocations.announce(answer.tuple, for: id)
        }
        return prolong(message, answer, identity, id, now: now)
    }

    /// The client has used the 5-tuple that it announced.
    mutating func arrive(_ id: AllocationID, at tuple: FiveTuple) {
        guard allocations[id].nextTuple == tuple else { return }
        allocations.settle(id)
        statistics.moves += 1
    }

    /// Whether a message that came to another event loop, from a 5-tuple that was announced, means that the client is there.
    public static func isUse(_ message: RawSpan) -> Bool {
        guard !message.isEmpty else { return false }
        switch DatagramKind(firstByte: message.bigEndian(at: 0, as: UInt8.self)) {
        case .channelData: return true
        case .other: return false
        case .stun:
            guard let method = STUNMessageType(peeking: message)?.method else { return false }
            return [.send, .createPermission, .channelBind].contains(method)
        }
    }

    /// Gives up the allocation whose client has arrived at a 5-tuple of another event loop.
    ///
    /// - Returns: its id here, and its number.
    public mutating func depart(
        to tuple: FiveTuple
    ) -> (id: AllocationID, mobilityNumber: UInt64, AllocationInTransit)? {
        guard let id = allocations.id(of: tuple), allocations[id].nextTuple == tuple else { return nil }
        arrive(id, at: tuple)
        return (id, allocations[id].mobilityNumber, AllocationInTransit(allocations.remove(id)))
    }

    /// Takes over an allocation from another event loop.
    ///
    /// - Returns: its id here; and what was closed, because the 5-tuple has got another allocation meanwhile.
    public mutating func install(
        _ transit: AllocationInTransit, now: MonotonicInstant
    ) -> (id: AllocationID, displaced: Closed?)? {
        guard let allocation = transit.take() else { return nil }
        let displaced = allocations.id(of: allocation.tuple).map { close($0, .disconnected, now: now) }
        return (allocations.insert(allocation), displaced)
    }
}
