public import Base
import Crypto
import STUN

/// Time-limited credentials after the TURN REST convention (draft-uberti-behave-turn-rest): the user name carries the
/// expiry, the password is a code over the user name under a secret that the operator's backend shares with the relay.
public struct RESTCredentials: Equatable, Sendable {
    public let user: UserAddress
    public let expiresAt: WallTime

    public init(user: UserAddress, expiresAt: WallTime) {
        self.user = user
        self.expiresAt = expiresAt
    }

    /// Reads `<expiry>:<tenant>:<user>`, the expiry in seconds since 1970.
    public init?(username: some StringProtocol) {
        let parts = username.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, (1...12).contains(parts[0].utf8.count), let seconds = Int64(parts[0]), seconds >= 0,
            let tenant = Tenant(parts[1]), let user = UserAddress(tenant: tenant, user: parts[2])
        else { return nil }
        self.init(user: user, expiresAt: WallTime(seconds: seconds))
    }

    public var username: String { "\(expiresAt.seconds):\(user.tenant):\(user.user)" }

    /// Base64 of HMAC-SHA1 of the user name.
    public static func password(username: String, secret: [UInt8]) -> String {
        Base64.encode(HMAC.sha1(key: secret, Array(username.utf8)))
    }

    /// The key of the password.
    static func key(
        username: String, realm: String, secret: [UInt8], algorithm: PasswordAlgorithm
    ) -> LongTermKey {
        LongTermKey(
            username: username, realm: realm, password: password(username: username, secret: secret),
            algorithm: algorithm)
    }
}
