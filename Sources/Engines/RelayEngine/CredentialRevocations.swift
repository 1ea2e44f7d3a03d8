public import Base

/// Takes back the credentials that somebody was given before a time.
public struct Revocation: Hashable, Sendable {
    public enum Scope: Hashable, Sendable {
        case tenant(Tenant)
        case user(UserAddress)
    }

    public let scope: Scope
    /// Credentials made before this count no longer; those of static users, which have no time, neither.
    public let madeBefore: WallTime

    public init(_ scope: Scope, madeBefore: WallTime) {
        self.scope = scope
        self.madeBefore = madeBefore
    }

    func covers(_ user: UserAddress, madeAt: WallTime) -> Bool {
        guard madeAt < madeBefore else { return false }
        switch scope {
        case .tenant(let tenant): return user.tenant == tenant
        case .user(let revoked): return user == revoked
        }
    }
}

/// The revocations that a node knows, one for each tenant and user. When there are too many, those of the longest ago go
/// first: their credentials are likely to have expired.
struct CredentialRevocations: Sendable {
    private let maxCount: Int
    private var times: [Revocation.Scope: WallTime] = [:]

    init(maxCount: Int) {
        precondition(maxCount > 0)
        self.maxCount = maxCount
    }

    var count: Int { times.count }

    mutating func insert(_ revocation: Revocation) {
        times[revocation.scope] = max(times[revocation.scope] ?? revocation.madeBefore, revocation.madeBefore)
        guard times.count > maxCount, let oldest = times.min(by: { $0.value < $1.value })?.key else { return }
        times[oldest] = nil
    }

    func covers(_ user: UserAddress, madeAt: WallTime) -> Bool {
        guard !times.isEmpty else { return false }
        return [.tenant(user.tenant), .user(user)].contains { scope in
            times[scope].map { madeAt < $0 } ?? false
        }
    }
}
