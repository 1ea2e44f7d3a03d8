import Base
import RelayEngine
import STUN
import Testing

/// Third-party authorisation (RFC 7635).
@Suite struct AccessTokenTests {
    private static let serverName = "relay.example"
    private static let sealingKeys = [
        "north": Array("01234567890123456789012345678901".utf8), "union": Array("1234567890123456".utf8),
    ]

    private static func harness() -> RelayHarness {
        RelayHarness {
            $0.realms = [
                RelayHarness.defaultRealm(RelayHarness.realm) {
                    $0.accessTokens = AccessTokenRules(
                        serverName: serverName,
                        keys: sealingKeys.map { AccessTokenRules.Key(id: $0, sealingKey: $1, tenant: .default) }
                            + [
                                AccessTokenRules.Key(
                                    id: "other", sealingKey: Array("abcdefghijklmnop".utf8), tenant: Tenant("other")!)
                            ])
                }
            ]
        }
    }

    /// Who was given a token at a time that lies so many seconds behind the harness' own.
    private static func client(
        _ id: String, macKey: String = "12345678901234567890", age: Int64 = 10, lifetimeSeconds: UInt32 = 300,
        serverName: String = serverName, sealingKey: [UInt8]? = nil
    ) throws -> CredentialClient {
        let key = try #require(LongTermKey(bytes: Array(macKey.utf8)))
        let token = AccessToken(
            key: key, issuedAt: WallTime(seconds: 2_000_000_000 - age), lifetimeSeconds: lifetimeSeconds)
        let sealed = token.sealed(
            sealingKey: sealingKey ?? sealingKeys[id] ?? Array("abcdefghijklmnop".utf8), serverName: serverName,
            nonce: Array(repeating: 9, count: 12))
        return CredentialClient(token: sealed, named: id, key: key)
    }

    @Test func theChallengeSaysForWhomTokensAreMade() throws {
        let harness = Self.harness()
        let client = CredentialClient("", password: "")
        let challenge = try #require(harness.answer(client.request(.allocate, harness.newTransaction())))
        #expect(challenge.read { $0.text(.thirdPartyAuthorization) } == Self.serverName)
        #expect(challenge.bytes.count <= 128)
        #expect(RelayRealm.fits(name: String(repeating: "r", count: 20), serverName: String(repeating: "s", count: 16)))
        #expect(
            !RelayRealm.fits(name: String(repeating: "r", count: 21), serverName: String(repeating: "s", count: 16)))
    }

    @Test(arguments: ["north", "union"], [STUNIntegrity.sha1, .sha256])
    func aTokenAllocates(id: String, integrity: STUNIntegrity) throws {
        let harness = Self.harness()
        var client = try Self.client(id)
        client.integrity = integrity
        let answer = try #require(harness.allocate(as: &client))
        #expect(answer.isSuccess)
        #expect(answer.read { $0.hasValidIntegrity(client.key) })
        #expect(answer.read { $0.integrity } == integrity)
        // The allocation ends with the token.
        #expect(answer.read { $0.number(.lifetime) } == 290)
        // Requests without a token are authenticated by the last one's key, whatever name they show.
        client.token = nil
        client.username = "union"
        #expect(
            try #require(
                harness.ask(.createPermission, as: &client) {
                    $0.append(.xorPeerAddress, xorAddress: RelayHarness.peer)
                }
            ).isSuccess)
        harness.wallTime = harness.wallTime + .seconds(100)
        harness.now = harness.now + .seconds(100)
        #expect(try #require(harness.refresh(as: &client)).read { $0.number(.lifetime) } == 190)
    }

    /// coturn's client authenticates by the first 16 bytes of a key.
    @Test func aKeyMayBeCutAsCoturnDoes() throws {
        let harness = Self.harness()
        var client = try Self.client("north")
        client.key = try #require(LongTermKey(bytes: client.key.bytes.prefix(16)))
        let answer = try #require(harness.allocate(as: &client))
        #expect(answer.isSuccess)
        #expect(answer.read { $0.hasValidIntegrity(client.key) })
        client.token = nil
        #expect(try #require(harness.refresh(as: &client)).isSuccess)
        client.key = try #require(LongTermKey(bytes: client.key.bytes.prefix(15)))
        #expect(try #require(harness.refresh(as: &client)).code == .unauthenticated)
    }

    @Test func aRefreshMayBringAnotherToken() throws {
        let harness = Self.harness()
        var client = try Self.client("north")
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        var next = try Self.client("union", macKey: "abcdefghijabcdefghij", age: 0, lifetimeSeconds: 4000)
        next.nonce = client.nonce
        let refreshed = try #require(harness.refresh(as: &next, seconds: 3600))
        #expect(refreshed.isSuccess)
        #expect(refreshed.read { $0.hasValidIntegrity(next.key) })
        #expect(refreshed.read { $0.number(.lifetime) } == 3600)
        next.token = nil
        #expect(try #require(harness.refresh(as: &next)).isSuccess)
        client.token = nil
        #expect(try #require(harness.refresh(as: &client)).code == .unauthenticated)
        // The quota goes by the user that the first token made.
        next.nonce = client.nonce
        let deleted = try #require(harness.refresh(as: &next, seconds: 0))
        #expect(deleted.closed?.user.user.hasPrefix("token-") == true)
    }

    @Test func whatIsNoGoodTokenIsRefused() throws {
        var clients = [
            try Self.client("north", age: 400), try Self.client("north", age: -60),
            try Self.client("north", serverName: "another.example"),
            try Self.client("north", sealingKey: Array(repeating: 1, count: 32)), try Self.client("unheard-of"),
        ]
        var tampered = try Self.client("north")
        tampered.token?[20] ^= 1
        clients.append(tampered)
        tampered.token = []
        clients.append(tampered)
        tampered.token = Array(repeating: 0, count: 300)
        clients.append(tampered)
        // The right token, and another's key.
        var thief = try Self.client("north")
        thief.key = try Self.client("north", macKey: "another key").key
        clients.append(thief)
        for index in clients.indices {
            let harness = Self.harness()
            #expect(try #require(harness.allocate(as: &clients[index])).code == .unauthenticated)
            #expect(harness.engine.allocationCount == 0)
        }
    }

    @Test func tokensOfOneTenantDoNotRuleAnothersAllocation() throws {
        let harness = Self.harness()
        var client = try Self.client("north")
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        var other = try Self.client("other")
        other.nonce = client.nonce
        #expect(try #require(harness.refresh(as: &other, seconds: 0)).code == .wrongCredentials)
        var password = CredentialClient(rest: "2000000600:default:alice", secret: RelayHarness.secret)
        password.nonce = client.nonce
        #expect(try #require(harness.refresh(as: &password, seconds: 0)).code == .unauthenticated)
        #expect(harness.engine.allocationCount == 1)
    }

    @Test func withoutKeysATokenIsNothing() throws {
        let harness = RelayHarness()
        var client = try Self.client("north")
        #expect(try #require(harness.allocate(as: &client)).code == .unauthenticated)
    }

    @Test func tokensThatWereMadeBeforeARevocationAreRefused() throws {
        let harness = Self.harness()
        var client = try Self.client("north")
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        let closed = harness.engine.revoke(
            Revocation(.tenant(.default), madeBefore: harness.wallTime + .seconds(1)), now: harness.now,
            wallTime: harness.wallTime)
        #expect(closed.count == 1)
        #expect(try #require(harness.allocate(as: &client)).code == .unauthenticated)
    }

    @Test func anAllocationEndsWithItsToken() throws {
        let harness = Self.harness()
        var client = try Self.client("north", age: 0, lifetimeSeconds: 60)
        #expect(try #require(harness.allocate(as: &client)).isSuccess)
        client.token = nil
        for _ in 0..<70 {
            harness.now = harness.now + .seconds(1)
            harness.wallTime = harness.wallTime + .seconds(1)
            _ = harness.refresh(as: &client)
        }
        #expect(try #require(harness.refresh(as: &client)).code != nil)
        #expect(harness.engine.expire(now: harness.now).count == 1)
    }
}
