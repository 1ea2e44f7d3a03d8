public import Base
import STUN

/// A user whom the relay knows by itself.
public struct StaticUser: Equatable, Sendable {
    /// As the client shows it, brought to OpaqueString.
    public var username: String
    /// Whose allocations and traffic these are.
    public var user: UserAddress
    /// Brought to OpaqueString.
    public var password: String

    public init(username: String, user: UserAddress, password: String) {
        self.username = username
        self.user = user
        self.password = password
    }
}

/// The tokens of authorisation servers that are taken (RFC 7635).
public struct AccessTokenRules: Equatable, Sendable {
    /// What an authorisation server shares with the relay. Clients name it in USERNAME.
    public struct Key: Equatable, Sendable {
        public var id: String
        /// 16 bytes (AES-128-GCM) or 32 (AES-256-GCM).
        public var sealingKey: [UInt8]
        /// Whose users its tokens speak for.
        public var tenant: Tenant

        public init(id: String, sealingKey: [UInt8], tenant: Tenant) {
            self.id = id
            self.sealingKey = sealingKey
            self.tenant = tenant
        }
    }

    /// What THIRD-PARTY-AUTHORIZATION says, and tokens are sealed for.
    public var serverName: String
    public var keys: [Key]

    public init(serverName: String, keys: [Key]) {
        self.serverName = serverName
        self.keys = keys
    }
}

/// A realm, with all credentials that count in it. Built once, and shared by the event loops.
public final class RelayRealm: Sendable {
    public struct Configuration: Equatable, Sendable {
        public var name: String
        /// The only tenant whose users count here; nil for all.
        public var tenant: Tenant?
        /// Secrets of TURN REST credentials. All count, so that one can take another's place.
        public var sharedSecrets: [[UInt8]] = []
        public var users: [StaticUser] = []
        public var accessTokens: AccessTokenRules?
        /// The operator's server is asked about users that nothing here knows.
        public var asksOperator = false

        public init(name: String) { self.name = name }
    }

    struct KnownUser: Sendable {
        let username: String
        let user: UserAddress
        private let md5: LongTermKey
        private let sha256: LongTermKey

        init(username: String, user: UserAddress, password: String, realm: String) {
            self.username = username
            self.user = user
            md5 = LongTermKey(username: username, realm: realm, password: password, algorithm: .md5)
            sha256 = LongTermKey(username: username, realm: realm, password: password, algorithm: .sha256)
        }

        func key(_ algorithm: PasswordAlgorithm) -> LongTermKey { algorithm == .md5 ? md5 : sha256 }
    }

    /// Name and server name of a challenge have this many bytes together, with the padding of each and the header that a
    /// server name costs: so a 401 stays within 128 bytes.
    public static let maxChallengeTextByteCount = 40
    /// In order of preference.
    static let passwordAlgorithms: [PasswordAlgorithm] = [.sha256, .md5]

    public let configuration: Configuration
    let features: STUNSecurityFeatures
    private let users: [String: KnownUser]
    private let usernames: [Userhash: String]

    /// - Important: the texts of a challenge have to fit (precondition: `fits`).
    public init(_ configuration: Configuration) {
        precondition(Self.fits(name: configuration.name, serverName: configuration.accessTokens?.serverName))
        self.configuration = configuration
        var users: [String: KnownUser] = [:]
        var usernames: [Userhash: String] = [:]
        for user in configuration.users {
            users[user.username] = KnownUser(
                username: user.username, user: user.user, password: user.password, realm: configuration.name)
            usernames[Userhash(username: user.username, realm: configuration.name)] = user.username
        }
        self.users = users
        self.usernames = usernames
        // Only of users who are known can a name be found by its hash.
        features = users.isEmpty ? .passwordAlgorithms : [.passwordAlgorithms, .usernameAnonymity]
    }

    /// Whether a challenge with these texts stays within its bound.
    public static func fits(name: String, serverName: String?) -> Bool {
        let padded = (name.utf8.count + 3) / 4 * 4
        let more = serverName.map { 4 + ($0.utf8.count + 3) / 4 * 4 } ?? 0
        return !name.isEmpty && serverName?.isEmpty != true && padded + more <= maxChallengeTextByteCount
    }

    func knownUser(named username: String) -> KnownUser? { users[username] }

    func knownUser(_ userhash: Userhash) -> KnownUser? { usernames[userhash].flatMap { users[$0] } }

    func admits(_ user: UserAddress) -> Bool { configuration.tenant.map { $0 == user.tenant } ?? true }

    func tokenKey(named id: String) -> AccessTokenRules.Key? {
        configuration.accessTokens?.keys.first { $0.id == id }
    }
}
