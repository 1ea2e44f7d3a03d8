import Base
import Crypto
import Synchronization

/// Tickets for handshakes that can set no header: each opens one connection, once, for a short time, at this node.
final class TicketTable: Sendable {
    private struct Ticket {
        var token: String
        var expires: MonotonicInstant
    }

    private let maxTickets: Int
    private let life: Duration
    private let tickets = Mutex<[String: Ticket]>([:])

    init(maxTickets: Int, life: Duration) {
        self.maxTickets = maxTickets
        self.life = life
    }

    /// - Returns: nil when too many stand.
    func issue(for token: String, now: MonotonicInstant) -> String? {
        let text = Base64.encode(randomBytes(32), .url)
        return tickets.withLock { tickets in
            if tickets.count >= maxTickets { tickets = tickets.filter { $0.value.expires > now } }
            guard tickets.count < maxTickets else { return nil }
            tickets[text] = Ticket(token: token, expires: now + life)
            return text
        }
    }

    /// The token behind a ticket, which is used up.
    func redeem(_ text: String, now: MonotonicInstant) -> String? {
        guard let ticket = tickets.withLock({ $0.removeValue(forKey: text) }), ticket.expires > now else { return nil }
        return ticket.token
    }
}
