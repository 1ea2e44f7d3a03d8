import Base
import Crypto
import Synchronization

/// Tickets for handshakes that can set no header: each opens one connection, once, for a short time, at this node.
final class TicketTable: Sendable {
    private struct Ticket {
        var token: String
        var owner: UserAddress
        var expires: MonotonicInstant
    }

    private struct State {
        var tickets: [String: Ticket] = [:]
        /// A user's tickets, oldest first.
        var owned: [UserAddress: [String]] = [:]

        @discardableResult
        mutating func remove(_ text: String) -> Ticket? {
            guard let ticket = tickets.removeValue(forKey: text) else { return nil }
            owned[ticket.owner]?.removeAll { $0 == text }
            if owned[ticket.owner]?.isEmpty == true { owned[ticket.owner] = nil }
            return ticket
        }
    }

    private let maxTickets: Int
    private let maxTicketsPerUser: Int
    private let life: Duration
    private let state = Mutex(State())

    init(maxTickets: Int, maxTicketsPerUser: Int, life: Duration) {
        self.maxTickets = maxTickets
        self.maxTicketsPerUser = maxTicketsPerUser
        self.life = life
    }

    /// A user who asks for more than may stand loses the oldest, so that nobody takes the room of all.
    ///
    /// - Returns: nil when too many stand.
    func issue(for token: String, of owner: UserAddress, now: MonotonicInstant) -> String? {
        let text = Base64.encode(randomBytes(32), .url)
        return state.withLock { state in
            if let own = state.owned[owner], own.count >= maxTicketsPerUser { state.remove(own[0]) }
            if state.tickets.count >= maxTickets {
                for (text, ticket) in state.tickets where ticket.expires <= now { state.remove(text) }
            }
            guard state.tickets.count < maxTickets else { return nil }
            state.tickets[text] = Ticket(token: token, owner: owner, expires: now + life)
            state.owned[owner, default: []].append(text)
            return text
        }
    }

    /// The token behind a ticket, which is used up.
    func redeem(_ text: String, now: MonotonicInstant) -> String? {
        guard let ticket = state.withLock({ $0.remove(text) }), ticket.expires > now else { return nil }
        return ticket.token
    }
}
