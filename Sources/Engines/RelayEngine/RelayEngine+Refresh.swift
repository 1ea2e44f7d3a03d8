import Base
import STUN

/// Refresh requests (RFC 8656 section 8).
extension RelayEngine {
    mutating func refresh(
        _ message: borrowing STUNMessage, _ answer: Answer, _ identity: Identity, _ id: AllocationID,
        now: MonotonicInstant
    ) -> RequestOutcome {
        if message.number(.lifetime) == 0 { return delete(message, answer, id, now: now) }
        if message.attribute(.requestedAddressFamily) != nil {
            guard let family = family(named: message) else { return fail(.badRequest, answer) }
            guard allocations[id].livePorts[family] != nil else { return fail(.peerAddressFamilyMismatch, answer) }
        }
        return prolong(message, answer, identity, id, now: now)
    }

    private func family(named message: borrowing STUNMessage) -> IPAddress.Family? {
        switch message.leadingByte(.requestedAddressFamily) {
        case 1: .v4
        case 2: .v6
        default: nil
        }
    }

    mutating func prolong(
        _ message: borrowing STUNMessage, _ answer: Answer, _ identity: Identity, _ id: AllocationID,
        now: MonotonicInstant
    ) -> RequestOutcome {
        let seconds = lifetime(asked: message.number(.lifetime), identity)
        allocations[id].expiresAt = now + .seconds(Int64(seconds))
        let ticket = ticket(of: id)
        return .respond(
            answer.succeed {
                $0.append(.lifetime, number: seconds)
                if let ticket { $0.append(.mobilityTicket, text: ticket) }
            })
    }

    /// Deletes the allocation, or of two relayed transport addresses the one that is named.
    mutating func delete(
        _ message: borrowing STUNMessage, _ answer: Answer, _ id: AllocationID, now: MonotonicInstant
    ) -> RequestOutcome {
        let count = answer.succeed { $0.append(.lifetime, number: 0) }
        if message.attribute(.requestedAddressFamily) != nil {
            guard let family = family(named: message) else { return fail(.badRequest, answer) }
            guard let port = allocations[id].livePorts[family] else {
                return fail(.peerAddressFamilyMismatch, answer)
            }
            if allocations[id].livePorts.families.count > 1 {
                allocations[id].remove(family)
                return .closeFamily(id, family, port: port, respond: count)
            }
        }
        recentlyDeleted.remember(answer.tuple, message.transactionID)
        return .closeRelay(close(id, .deleted, now: now), respond: count)
    }
}
