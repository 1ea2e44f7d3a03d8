public import Base
import Crypto
import STUN

/// Who a client is, once its request has been found genuine.
struct Identity: Sendable {
    enum Proof: Equatable, Sendable {
        /// The key is made of a password so.
        case password(PasswordAlgorithm)
        /// The key is an access token's (RFC 7635); each request may bring another token.
        case accessToken
    }

    /// As the client has shown it, or as a hash of it stands for. With access tokens it names the authorisation server's key.
    let username: String
    let user: UserAddress
    let key: LongTermKey
    let proof: Proof
    /// The kind of integrity that the request has, and the answer gets.
    let integrity: STUNIntegrity
    /// When the right to have an allocation ends; nil where credentials are judged when it is made, and never again.
    var endsAt: WallTime?
    /// The same in seconds from the request on, at least one.
    var longestLifetimeSeconds: UInt32?

    /// Whether the identity may rule another's allocation.
    func isOwner(of other: Identity) -> Bool {
        switch (proof, other.proof) {
        // Tokens name nobody but the tenant: the path to the client, or a mobility ticket, says whose the allocation is.
        case (.accessToken, .accessToken): user.tenant == other.user.tenant
        case (.password, .password): username == other.username && user == other.user
        default: false
        }
    }

    /// What a mobility ticket is bound to.
    var owner: String { proof == .accessToken ? "token:\(user.tenant)" : username }

    /// The same as the identity of a user who is named already.
    func owned(by user: UserAddress) -> Identity {
        Identity(
            username: username, user: user, key: key, proof: proof, integrity: integrity, endsAt: endsAt,
            longestLifetimeSeconds: longestLifetimeSeconds)
    }

    fileprivate func authenticating(with integrity: STUNIntegrity, at wallTime: WallTime) -> Identity {
        Identity(
            username: username, user: user, key: key, proof: proof, integrity: integrity, endsAt: endsAt,
            longestLifetimeSeconds: endsAt.map { seconds(until: $0, from: wallTime) })
    }
}

private func seconds(until end: WallTime, from now: WallTime) -> UInt32 {
    UInt32(clamping: max(1, (end.milliseconds - now.milliseconds) / 1000))
}

/// What becomes of a request that has to be authenticated.
enum Authentication {
    case identity(Identity)
    case refused(STUNErrorCode)
    /// Only the operator's server can say.
    case ask(AuthorizationQuery)
}

/// The long-term credential mechanism (RFC 8489 section 9.2.4) and third-party authorisation (RFC 7635).
extension RelayEngine {
    /// The longest USERNAME (RFC 8489 section 14.3).
    private static let maxUsernameByteCount = 508
    /// How far the clocks of authorisation servers may be from ours.
    private static let tokenLeeway = Duration.seconds(5)
    /// Stands for the key of a user who is not known, so that it takes as long to say so.
    private static let decoy = LongTermKey(username: "", realm: "", password: "")

    /// Allocates nothing for a client that holds an allocation.
    func authenticate(
        _ message: borrowing STUNMessage, _ tuple: FiveTuple, _ id: AllocationID?, now: MonotonicInstant,
        wallTime: WallTime
    ) -> Authentication {
        guard let integrity = message.integrity else { return .refused(.unauthenticated) }
        let realm = configuration.realms[Int(tuple.realm)]
        guard message.attribute(.username) != nil || message.attribute(.userhash) != nil,
            (message.attribute(.username)?.count ?? 0) <= Self.maxUsernameByteCount,
            let realmName = message.attribute(.realm), let nonce = message.attribute(.nonce)
        else { return .refused(.badRequest) }
        // Before all that costs more: what comes from a forged address ends here.
        let isCurrent = message.withValue(nonce) {
            nonces.isCurrent(
                $0, realm.features, for: tuple.client, fromAnyPort: tuple.transport.isStream, now: now)
        }
        guard isCurrent else { return .refused(.staleNonce) }
        guard let algorithm = passwordAlgorithm(message) else { return .refused(.badRequest) }
        guard message.value(realmName, equals: realm.configuration.name) else { return .refused(.unauthenticated) }
        if let token = message.attribute(.accessToken) {
            return authenticate(message, accessToken: token, realm, id, integrity, wallTime: wallTime)
        }
        if let id, isHolder(of: id, message, algorithm) {
            if let end = allocations[id].identity.endsAt, end + Self.tokenLeeway <= wallTime {
                return .refused(.unauthenticated)
            }
            // Credentials may end while the allocation goes on: a call does not break because it is long.
            guard message.hasValidIntegrity(allocations[id].identity.key) else { return .refused(.unauthenticated) }
            return .identity(allocations[id].identity.authenticating(with: integrity, at: wallTime))
        }
        return authenticate(message, realm, algorithm, integrity, now: now, wallTime: wallTime)
    }

    /// Since our nonces say that there are password algorithms, a request that does not name the list as we gave it has met
    /// somebody who took from it. nil for such a one.
    private func passwordAlgorithm(_ message: borrowing STUNMessage) -> PasswordAlgorithm? {
        let namesOne = message.attribute(.passwordAlgorithm) != nil
        guard namesOne || message.attribute(.passwordAlgorithms) != nil else { return .md5 }
        guard namesOne, message.hasPasswordAlgorithms(RelayRealm.passwordAlgorithms) else { return nil }
        return message.passwordAlgorithm
    }

    /// Whether the key of the allocation is the one that the request claims to know.
    private func isHolder(
        of id: AllocationID, _ message: borrowing STUNMessage, _ algorithm: PasswordAlgorithm
    ) -> Bool {
        switch allocations[id].identity.proof {
        case .accessToken:
            return true
        case .password(let known):
            guard known == algorithm, let username = message.attribute(.username) else { return false }
            return message.value(username, equals: allocations[id].identity.username)
        }
    }

    // MARK: - Passwords

    private func authenticate(
        _ message: borrowing STUNMessage, _ realm: RelayRealm, _ algorithm: PasswordAlgorithm,
        _ integrity: STUNIntegrity, now: MonotonicInstant, wallTime: WallTime
    ) -> Authentication {
        func accept(_ user: UserAddress, _ username: String, _ key: LongTermKey, madeAt: WallTime) -> Authentication {
            guard realm.admits(user), !revocations.covers(user, madeAt: madeAt) else {
                return .refused(.unauthenticated)
            }
            return .identity(
                Identity(username: username, user: user, key: key, proof: .password(algorithm), integrity: integrity))
        }

        guard message.attribute(.username) != nil else {
            let known = message.userhash.flatMap { realm.knownUser($0) }
            let key = known?.key(algorithm) ?? Self.decoy
            guard message.hasValidIntegrity(key), let known else { return .refused(.unauthenticated) }
            return accept(known.user, known.username, key, madeAt: .always)
        }
        guard let username = message.text(.username) else { return .refused(.badRequest) }
        if let known = realm.knownUser(named: username) {
            let key = known.key(algorithm)
            guard message.hasValidIntegrity(key) else { return .refused(.unauthenticated) }
            return accept(known.user, username, key, madeAt: .always)
        }
        if !realm.configuration.sharedSecrets.isEmpty, let credentials = RESTCredentials(username: username) {
            guard credentials.expiresAt > wallTime else { return .refused(.unauthenticated) }
            for secret in realm.configuration.sharedSecrets {
                let key = RESTCredentials.key(
                    username: username, realm: realm.configuration.name, secret: secret, algorithm: algorithm)
                guard message.hasValidIntegrity(key) else { continue }
                let madeAt = credentials.expiresAt + .seconds(-configuration.credentialLifetimeSeconds)
                return accept(credentials.user, username, key, madeAt: madeAt)
            }
            return .refused(.unauthenticated)
        }
        guard realm.configuration.asksOperator else {
            _ = message.hasValidIntegrity(Self.decoy)
            return .refused(.unauthenticated)
        }
        let query = AuthorizationQuery(username: username, realm: realm.configuration.name)
        switch authorizations.verdict(on: query, now: now) {
        case nil:
            return .ask(query)
        case .unavailable:
            return .refused(.serverError)
        case .unknown:
            _ = message.hasValidIntegrity(Self.decoy)
            return .refused(.unauthenticated)
        case .known(let known, let learntAt):
            // What was learnt before the user was revoked counts no longer.
            guard !revocations.covers(known.user, madeAt: learntAt) else { return .ask(query) }
            let key = known.key(algorithm)
            guard message.hasValidIntegrity(key) else { return .refused(.unauthenticated) }
            return accept(known.user, username, key, madeAt: learntAt)
        }
    }

    // MARK: - Access tokens

    private func authenticate(
        _ message: borrowing STUNMessage, accessToken attribute: STUNAttribute, _ realm: RelayRealm,
        _ id: AllocationID?, _ integrity: STUNIntegrity, wallTime: WallTime
    ) -> Authentication {
        guard let rules = realm.configuration.accessTokens, let keyID = message.text(.username),
            let sealing = realm.tokenKey(named: keyID), attribute.count <= AccessToken.maxSealedByteCount,
            let token = AccessToken(
                opening: message.withValue(attribute) { Array($0) }, sealingKey: sealing.sealingKey,
                serverName: rules.serverName),
            token.issuedAt <= wallTime + Self.tokenLeeway, token.expiresAt + Self.tokenLeeway > wallTime,
            let key = [token.key, Self.shortened(token.key)].first(where: { message.hasValidIntegrity($0) })
        else { return .refused(.unauthenticated) }
        let holder = id.map { allocations[$0].identity }
        let user: UserAddress
        if let holder, holder.proof == .accessToken, holder.user.tenant == sealing.tenant {
            user = holder.user
        } else {
            // A token names nobody: all that it pays for is its own.
            let name = "token-\(Hex.encode(Digest.sha256(token.key.bytes).prefix(8)))"
            guard let made = UserAddress(tenant: sealing.tenant, user: name) else { return .refused(.unauthenticated) }
            user = made
        }
        guard realm.admits(user), !revocations.covers(user, madeAt: token.issuedAt) else {
            return .refused(.unauthenticated)
        }
        return .identity(
            Identity(
                username: keyID, user: user, key: key, proof: .accessToken, integrity: integrity,
                endsAt: token.expiresAt, longestLifetimeSeconds: seconds(until: token.expiresAt, from: wallTime)))
    }

    /// coturn and its clients take of a token's key no more than a key of MD5 has.
    private static func shortened(_ key: LongTermKey) -> LongTermKey {
        LongTermKey(bytes: key.bytes.prefix(16)) ?? key
    }

    // MARK: - Challenges

    /// What a client needs to authenticate: REALM, NONCE, PASSWORD-ALGORITHMS, THIRD-PARTY-AUTHORIZATION.
    func appendChallenge(to writer: inout STUNWriter, for tuple: FiveTuple, now: MonotonicInstant) {
        let realm = configuration.realms[Int(tuple.realm)]
        writer.append(.realm, text: realm.configuration.name)
        nonces.nonce(realm.features, for: tuple.client, now: now).withUnsafeBytes { writer.append(.nonce, bytes: $0) }
        writer.append(passwordAlgorithms: RelayRealm.passwordAlgorithms)
        if let serverName = realm.configuration.accessTokens?.serverName {
            writer.append(.thirdPartyAuthorization, text: serverName)
        }
    }

    // MARK: - What changes

    /// Remembers what the operator's server has said, for the next request of that user.
    public mutating func learn(
        _ query: AuthorizationQuery, _ answer: AuthorizationAnswer, now: MonotonicInstant, wallTime: WallTime
    ) {
        authorizations.learn(query, answer, now: now, wallTime: wallTime)
    }

    /// Removes an allocation that came from another event loop, if its user was revoked while it was on its way.
    public mutating func closeIfRevoked(_ id: AllocationID, now: MonotonicInstant, wallTime: WallTime) -> Closed? {
        let openedAt = wallTime + .nanoseconds(-(now - allocations[id].openedAt).nanoseconds)
        guard revocations.covers(allocations[id].identity.user, madeAt: openedAt) else { return nil }
        return close(id, .revoked, now: now)
    }

    /// Takes back credentials, and removes the allocations that were made before.
    public mutating func revoke(_ revocation: Revocation, now: MonotonicInstant, wallTime: WallTime) -> [Closed] {
        revocations.insert(revocation)
        return close(.revoked, now: now) { allocation in
            let openedAt = wallTime + .nanoseconds(-(now - allocation.openedAt).nanoseconds)
            return revocation.covers(allocation.identity.user, madeAt: openedAt)
        }
    }
}

extension WallTime {
    /// Of credentials that have no time.
    fileprivate static let always = WallTime(milliseconds: .min)
}
