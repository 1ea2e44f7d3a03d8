import Base
import STUN
import Testing

@testable import RelayEngine

/// Passwords: TURN REST and static users, both algorithms, hashed names, realms.
@Suite struct CredentialTests {
    private static let bob = StaticUser(
        username: "bob", user: UserAddress(tenant: Tenant("acme")!, user: "robert")!, password: "p\u{E4}ss word")

    private static func harness(
        _ change: @escaping (inout RelayRealm.Configuration) -> Void = { $0.users = [bob] }
    ) -> RelayHarness {
        RelayHarness { $0.realms = [RelayHarness.defaultRealm(RelayHarness.realm, change)] }
    }

    @Test func everySecretCounts() throws {
        let harness = Self.harness { $0.sharedSecrets = [Array("new".utf8), Array("old".utf8)] }
        for (index, secret) in ["new", "old", "north"].enumerated() {
            var client = CredentialClient(rest: "2000000600:default:u\(index)", secret: Array(secret.utf8))
            client.address.port += UInt16(index)
            let answer = try #require(harness.allocate(as: &client))
            #expect(answer.isSuccess == (index < 2))
            if index < 2 { #expect(answer.read { $0.hasValidIntegrity(client.key) }) }
        }
    }

    @Test(arguments: [PasswordAlgorithm.md5, .sha256], [STUNIntegrity.sha1, .sha256])
    func bothAlgorithmsAndBothIntegrities(algorithm: PasswordAlgorithm, integrity: STUNIntegrity) throws {
        let harness = Self.harness()
        var clients = [
            CredentialClient(Self.bob.username, password: Self.bob.password, algorithm: algorithm),
            CredentialClient(rest: "2000000600:default:alice", secret: RelayHarness.secret, algorithm: algorithm),
        ]
        for index in clients.indices {
            clients[index].integrity = integrity
            clients[index].address.port += UInt16(index)
            for answer in [
                harness.allocate(as: &clients[index]), harness.refresh(as: &clients[index]),
                harness.refresh(as: &clients[index], seconds: 0),
            ] {
                let answer = try #require(answer)
                #expect(answer.isSuccess)
                #expect(answer.read { $0.integrity } == integrity)
                #expect(answer.read { $0.hasValidIntegrity(clients[index].key) })
            }
        }
    }

    @Test func aWrongPasswordOrAnUnknownUserIsRefused() throws {
        let harness = Self.harness()
        var wrong = CredentialClient(Self.bob.username, password: "password")
        #expect(try #require(harness.allocate(as: &wrong)).code == .unauthenticated)
        var unknown = CredentialClient("mallory", password: Self.bob.password)
        #expect(try #require(harness.allocate(as: &unknown)).code == .unauthenticated)
        var long = CredentialClient(String(repeating: "b", count: 509), password: Self.bob.password)
        #expect(try #require(harness.allocate(as: &long)).code == .badRequest)
    }

    /// RFC 8489 sections 9.2.4 and 14.4.
    @Test(arguments: [PasswordAlgorithm.md5, .sha256])
    func aNameMayBeHashed(algorithm: PasswordAlgorithm) throws {
        let harness = Self.harness()
        var client = CredentialClient(Self.bob.username, password: Self.bob.password, algorithm: algorithm)
        client.username = nil
        client.userhash = Userhash(username: Self.bob.username, realm: RelayHarness.realm)
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        #expect(try #require(harness.refresh(as: &client)).isSuccess)
        // The name itself and the hash are the same owner.
        client.username = Self.bob.username
        client.userhash = nil
        #expect(try #require(harness.refresh(as: &client)).isSuccess)
        client.username = nil
        client.userhash = Userhash(username: "mallory", realm: RelayHarness.realm)
        #expect(try #require(harness.refresh(as: &client)).code == .unauthenticated)
        client.userhash = nil
        #expect(try #require(harness.refresh(as: &client)).code == .badRequest)
    }

    private func features(_ harness: RelayHarness) throws -> STUNSecurityFeatures? {
        let client = CredentialClient("", password: "")
        let challenge = try #require(harness.answer(client.request(.allocate, harness.newTransaction())))
        #expect(challenge.code == .unauthenticated)
        #expect(challenge.read { $0.hasPasswordAlgorithms([.sha256, .md5]) })
        let nonce = try #require(challenge.read { $0.value(.nonce) })
        return NonceCookie.features(of: nonce.span.bytes)
    }

    @Test func hashedNamesAreOfferedWhereUsersAreKnown() throws {
        #expect(try features(Self.harness()) == [.passwordAlgorithms, .usernameAnonymity])
        #expect(try features(RelayHarness()) == .passwordAlgorithms)
    }

    /// The checks of RFC 8489 section 9.2.4 on a nonce that announces password algorithms.
    @Test func thePasswordAlgorithmsHaveToComeBackAsTheyWereGiven() throws {
        let cases: [(PasswordAlgorithm?, [PasswordAlgorithm]?, Bool)] = [
            (nil, nil, true), (.md5, [.sha256, .md5], true), (.md5, nil, false), (nil, [.sha256, .md5], false),
            (.md5, [.md5], false), (.md5, [.md5, .sha256], false), (.md5, [.sha256, .md5, .md5], false),
        ]
        for (algorithm, algorithms, isRight) in cases {
            let harness = Self.harness()
            var client = CredentialClient(Self.bob.username, password: Self.bob.password)
            client.algorithm = algorithm
            client.algorithms = algorithms
            let answer = try #require(harness.allocate(as: &client))
            #expect(answer.code == (isRight ? nil : .badRequest))
            if !isRight { #expect(answer.read { $0.attribute(.nonce) == nil && $0.integrity == nil }) }
        }
        // An algorithm that nobody knows.
        let harness = Self.harness()
        var client = CredentialClient(Self.bob.username, password: Self.bob.password)
        client.algorithms = [.sha256, .md5]
        let answer = harness.ask(.allocate, as: &client) { $0.append(.passwordAlgorithm, number: 7 << 16) }
        #expect(try #require(answer).code == .badRequest)
    }

    /// Who strips the algorithms from a challenge has to take the bit from the nonce as well, which then is not ours.
    @Test func aNonceWithoutItsFeaturesIsNotOurs() throws {
        let harness = Self.harness()
        var client = CredentialClient(Self.bob.username, password: Self.bob.password)
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        let nonce = try #require(client.nonce)
        #expect(nonce.count == 32)
        for index in nonce.indices {
            client.nonce?[index] ^= 1
            // A holder has so many answers of this kind a second.
            harness.now = harness.now + .milliseconds(100)
            #expect(try #require(harness.refresh(as: &client)).code == .staleNonce)
            client.nonce = nonce
        }
        client.nonce = nonce + [0]
        #expect(try #require(harness.refresh(as: &client)).code == .staleNonce)
        client.nonce = Array(nonce.dropLast())
        let stale = try #require(harness.refresh(as: &client))
        #expect(stale.code == .staleNonce)
        #expect(stale.read { $0.hasPasswordAlgorithms([.sha256, .md5]) })
    }

    /// A connection to a peer is bound by a second connection, with the nonce of the first (RFC 6062 section 4.3).
    @Test(arguments: [FiveTuple.Transport.udp, .tcp, .tls, .dtls])
    func overStreamsANonceCountsForTheClientsOtherPorts(transport: FiveTuple.Transport) throws {
        let harness = Self.harness()
        harness.transport = transport
        var client = CredentialClient(Self.bob.username, password: Self.bob.password)
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        client.address.port += 1
        let answer = try #require(harness.refresh(as: &client))
        #expect(answer.code == (transport.isStream ? .allocationMismatch : .staleNonce))
        // Never for another host.
        client.address = SocketAddress(RelayHarness.relay, port: RelayHarness.client.port)
        #expect(try #require(harness.refresh(as: &client)).code == .staleNonce)
    }

    // MARK: - Realms

    private static func twoRealms() -> RelayHarness {
        RelayHarness { configuration in
            let acme = RelayHarness.defaultRealm("acme.example") {
                $0.tenant = Tenant("acme")
                $0.sharedSecrets = [Array("acme's".utf8)]
                $0.users = [
                    bob, StaticUser(username: "carol", user: UserAddress(tenant: .default, user: "c")!, password: "p"),
                ]
            }
            configuration.realms = [RelayHarness.defaultRealm(), acme]
        }
    }

    @Test func aRealmAsksForItself() throws {
        let harness = Self.twoRealms()
        harness.realmIndex = 1
        let client = CredentialClient("bob", password: "")
        let challenge = try #require(harness.answer(client.request(.allocate, harness.newTransaction())))
        #expect(challenge.read { $0.text(.realm) } == "acme.example")
    }

    @Test func aTenantsRealmTakesItsUsersAlone() throws {
        let harness = Self.twoRealms()
        harness.realmIndex = 1
        var bob = CredentialClient("bob", password: Self.bob.password, realm: "acme.example")
        #expect(try #require(harness.allocate(as: &bob)).isSuccess)
        var carol = CredentialClient("carol", password: "p", realm: "acme.example")
        carol.address.port += 1
        #expect(try #require(harness.allocate(as: &carol)).code == .unauthenticated)
        for (tenant, isRight) in [("acme", true), ("default", false)] {
            let username = "2000000600:\(tenant):dave"
            let password = RESTCredentials.password(username: username, secret: Array("acme's".utf8))
            var dave = CredentialClient(username, password: password, realm: "acme.example")
            dave.address.port += 2
            #expect(try #require(harness.allocate(as: &dave)).isSuccess == isRight)
        }
    }

    @Test func credentialsOfOneRealmDoNotCountInAnother() throws {
        let harness = Self.twoRealms()
        var bob = CredentialClient("bob", password: Self.bob.password, realm: "acme.example")
        #expect(try #require(harness.allocate(as: &bob)).code == .unauthenticated)
        bob = CredentialClient("bob", password: Self.bob.password)
        #expect(try #require(harness.allocate(as: &bob)).code == .unauthenticated)
        // A tenant's secret makes no credentials for the others.
        var alice = CredentialClient(rest: "2000000600:default:alice", secret: Array("acme's".utf8))
        #expect(try #require(harness.allocate(as: &alice)).code == .unauthenticated)
    }

    // MARK: - Revocation

    @Test func revocationEndsAllocationsAndRefusesWhatWasMadeBefore() throws {
        let harness = Self.harness()
        var alice = CredentialClient(rest: "2000003600:default:alice", secret: RelayHarness.secret)
        var bob = CredentialClient(Self.bob.username, password: Self.bob.password)
        bob.address.port += 1
        #expect(try #require(harness.allocate(as: &alice)).isSuccess)
        #expect(try #require(harness.allocate(as: &bob)).isSuccess)
        harness.now = harness.now + .seconds(10)
        harness.wallTime = harness.wallTime + .seconds(10)
        let user = try #require(UserAddress(tenant: .default, user: "alice"))
        let closed = harness.engine.revoke(
            Revocation(.user(user), madeBefore: harness.wallTime), now: harness.now, wallTime: harness.wallTime)
        #expect(closed.map(\.user) == [user] && closed.map(\.reason) == [.revoked])
        #expect(try #require(harness.refresh(as: &alice)).code == .unauthenticated)
        #expect(try #require(harness.allocate(as: &alice)).code == .unauthenticated)
        #expect(try #require(harness.refresh(as: &bob)).isSuccess)
        // Made afterwards.
        var again = CredentialClient(rest: "2000003610:default:alice", secret: RelayHarness.secret)
        #expect(try #require(harness.allocate(as: &again)).isSuccess)

        let tenant = harness.engine.revoke(
            Revocation(.tenant(Self.bob.user.tenant), madeBefore: harness.wallTime), now: harness.now,
            wallTime: harness.wallTime)
        #expect(tenant.map(\.user) == [Self.bob.user])
        #expect(try #require(harness.allocate(as: &bob)).code == .unauthenticated)
    }

    // MARK: - The operator's server

    @Test func theOperatorsServerIsAskedAboutUnknownUsers() throws {
        let harness = Self.harness {
            $0.users = [Self.bob]
            $0.asksOperator = true
        }
        func learn(_ answer: AuthorizationAnswer) throws {
            let query = try #require(harness.asked)
            harness.asked = nil
            harness.engine.learn(query, answer, now: harness.now, wallTime: harness.wallTime)
        }
        let erin = try #require(UserAddress(tenant: .default, user: "erin"))
        var client = CredentialClient("erin@example.com", password: "secret")
        #expect(harness.allocate(as: &client) == nil)
        #expect(harness.asked == AuthorizationQuery(username: "erin@example.com", realm: RelayHarness.realm))
        try learn(.known(erin, password: "secret", lifeSeconds: 60))
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        // A wrong password does not make it ask again, and neither do users who are known otherwise.
        var wrong = CredentialClient("erin@example.com", password: "guess")
        wrong.address.port += 1
        #expect(try #require(harness.allocate(as: &wrong)).code == .unauthenticated)
        var alice = CredentialClient(rest: "2000000600:default:alice", secret: Array("wrong".utf8))
        alice.address.port += 2
        #expect(try #require(harness.allocate(as: &alice)).code == .unauthenticated)
        #expect(harness.asked == nil)

        // While the allocation lives its own key goes on counting; a new one is asked about.
        harness.now = harness.now + .seconds(61)
        #expect(try #require(harness.refresh(as: &client)).isSuccess)
        client.address.port += 3
        client.nonce = nil
        #expect(harness.allocate(as: &client) == nil)
        try learn(.unknown(lifeSeconds: 10))
        #expect(try #require(harness.allocate(as: &client)).code == .unauthenticated)
        harness.now = harness.now + .seconds(11)
        #expect(harness.allocate(as: &client) == nil)
        try learn(.unavailable)
        #expect(try #require(harness.allocate(as: &client)).code == .serverError)
        harness.now = harness.now + .seconds(2)
        #expect(harness.allocate(as: &client) == nil)
        try learn(.known(erin, password: "secret", lifeSeconds: 600))
        #expect(try #require(harness.allocate(as: &client)).isSuccess)

        // What was learnt before the user was revoked is asked anew.
        harness.now = harness.now + .seconds(1)
        harness.wallTime = harness.wallTime + .seconds(1)
        _ = harness.engine.revoke(
            Revocation(.user(erin), madeBefore: harness.wallTime), now: harness.now, wallTime: harness.wallTime)
        #expect(harness.allocate(as: &client) == nil)
        try learn(.known(erin, password: "secret", lifeSeconds: 600))
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
    }

    /// Nobody is asked for the sake of a client that has not shown a nonce of ours, and not without end.
    @Test func theOperatorsServerIsNotAskedForStrangers() throws {
        let harness = RelayHarness {
            $0.realms = [RelayHarness.defaultRealm(RelayHarness.realm) { $0.asksOperator = true }]
            $0.unauthenticatedAnswersBurst = 5
        }
        var client = CredentialClient("erin", password: "secret")
        client.nonce = Array("obMatJos2gAAAAAAAAAAAAAAAAAAAAAA".utf8)
        #expect(try #require(harness.allocate(as: &client)).code == .staleNonce)
        #expect(harness.asked == nil)
        client.nonce = nil
        for index in 0..<10 {
            harness.asked = nil
            #expect(harness.allocate(as: &client) == nil)
            #expect((harness.asked != nil) == (index < 3))
        }
    }

    // MARK: - Bandwidth

    @Test func whatIsOverTheBandwidthIsDroppedBothWays() throws {
        let harness = RelayHarness()
        var quota = AllocationQuota(
            RelayQuotas(maxAllocations: 1, maxAllocationsPerUser: 1, maxBytesPerSecondPerUser: 100_000),
            now: harness.now)
        let user = try #require(UserAddress(tenant: .default, user: "alice"))
        harness.credit = try quota.reserve(for: user, now: harness.now).get()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        #expect(try #require(harness.bind(0x4000, to: RelayHarness.peer, as: client)).isSuccess)
        let payload = [UInt8](repeating: 1, count: 1000)
        var sent = 0
        while harness.sendChannelData(payload, 0x4000) != .none { sent += 1 }
        #expect((60...66).contains(sent))
        #expect(harness.drops(.overBandwidth) == 1)
        let id = AllocationID(index: 0, generation: 0)
        #expect(
            harness.engine.receiveFromPeer(id, from: RelayHarness.peer, payloadCount: 1000, now: harness.now) == .none)
        #expect(harness.drops(.overBandwidth) == 2)
        harness.now = harness.now + .milliseconds(20)
        #expect(harness.sendChannelData(payload, 0x4000) != .none)
        #expect(
            harness.engine.receiveFromPeer(id, from: RelayHarness.peer, payloadCount: 900, now: harness.now) != .none)
    }
}
