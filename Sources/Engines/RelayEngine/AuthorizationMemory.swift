import Base
import STUN

/// What the operator's server has said about users, as long as it counts. Bounded: the oldest answer goes first.
struct AuthorizationMemory: Sendable {
    enum Verdict: Sendable {
        /// With the time at which that was learnt.
        case known(RelayRealm.KnownUser, WallTime)
        case unknown
        /// The operator's server could not be asked.
        case unavailable
    }

    private struct Entry {
        let verdict: Verdict
        let expiresAt: MonotonicInstant
    }

    /// A server that does not answer is not asked about the same user again at once.
    static let unavailableLifetime = Duration.seconds(1)

    private let maxCount: Int
    private var entries: [AuthorizationQuery: Entry] = [:]
    /// In the order of learning; `next` is the place of the oldest once it is full.
    private var order: [AuthorizationQuery] = []
    private var next = 0

    init(maxCount: Int) {
        precondition(maxCount > 0)
        self.maxCount = maxCount
    }

    var count: Int { entries.count }

    func verdict(on query: AuthorizationQuery, now: MonotonicInstant) -> Verdict? {
        guard let entry = entries[query], entry.expiresAt > now else { return nil }
        return entry.verdict
    }

    mutating func learn(
        _ query: AuthorizationQuery, _ answer: AuthorizationAnswer, now: MonotonicInstant, wallTime: WallTime
    ) {
        let entry =
            switch answer {
            case .known(let user, let password, let lifeSeconds):
                Entry(
                    verdict: .known(
                        RelayRealm.KnownUser(
                            username: query.username, user: user, password: password, realm: query.realm),
                        wallTime),
                    expiresAt: now + .seconds(Int64(lifeSeconds)))
            case .unknown(let lifeSeconds):
                Entry(verdict: .unknown, expiresAt: now + .seconds(Int64(lifeSeconds)))
            case .unavailable:
                Entry(verdict: .unavailable, expiresAt: now + Self.unavailableLifetime)
            }
        guard entries.updateValue(entry, forKey: query) == nil else { return }
        if order.count < maxCount {
            order.append(query)
        } else {
            entries[order[next]] = nil
            order[next] = query
            next = (next + 1) % maxCount
        }
    }
}
