import Base
import RelayEngine
import STUN
import Testing

@Suite struct AuthenticationTests {
    @Test func withoutCredentialsAChallengeOfBoundedSize() throws {
        let realm = String(repeating: "r", count: RelayRealm.maxChallengeTextByteCount)
        let harness = RelayHarness { $0.realms = [RelayHarness.defaultRealm(realm)] }
        for fingerprint in [false, true] {
            let answer = try #require(
                harness.answer(
                    RelayHarness.message(
                        STUNMessageType(.allocate, .request), harness.newTransaction(), fingerprint: fingerprint
                    ) { $0.append(.requestedTransport, leadingByte: 17) }))
            #expect(answer.code == .unauthenticated)
            #expect(answer.bytes.count <= 128)
            #expect(answer.read { $0.hasFingerprint } == fingerprint)
            #expect(answer.read { $0.text(.realm) } == realm)
            #expect(answer.read { $0.attribute(.errorCode)?.count } == 4)
            #expect(answer.read { $0.attribute(.software) } == nil)
        }
    }

    @Test func theRightCredentialsAllocate() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let answer = try #require(harness.allocate(as: client))
        #expect(answer.isSuccess)
        #expect(answer.read { $0.hasValidIntegrity(client.key) })
        #expect(answer.read { $0.xorAddress(.xorMappedAddress) } == client.address)
        #expect(answer.read { $0.xorAddress(.xorRelayedAddress) } == SocketAddress(RelayHarness.relay, port: 50_001))
        #expect(answer.read { $0.number(.lifetime) } == 600)
        #expect(harness.engine.allocationCount == 1)
    }

    @Test(arguments: [
        "2000000000:default:alice",  // expired this very second
        "1:default:alice",
        "2000000600:default",
        "2000000600:default:alice:more",
        "default:alice",
        "2000000600:bad tenant:alice",
        "-1:default:alice",
        "",
        "99999999999999999999:default:alice",
    ])
    func badUserNames(username: String) throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client(username: username)
        #expect(try #require(harness.allocate(as: client)).code == .unauthenticated)
        #expect(harness.engine.allocationCount == 0)
    }

    @Test func aWrongPasswordIsRefused() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client(secret: Array("south".utf8))
        let answer = try #require(harness.allocate(as: client))
        #expect(answer.code == .unauthenticated)
        #expect(answer.read { $0.integrity == nil && $0.text(.nonce) != nil })
    }

    @Test func aStaleNonceIsReplaced() throws {
        let harness = RelayHarness { $0.nonceLifetimeMs = 60_000 }
        let client = RelayHarness.Client()
        #expect(try #require(harness.allocate(as: client)).isSuccess)
        harness.now = harness.now + .seconds(60)
        #expect(try #require(harness.ask(.refresh, as: client)).isSuccess)
        harness.now = harness.now + .seconds(1)
        let stale = try #require(harness.ask(.refresh, as: client))
        #expect(stale.code == .staleNonce)
        client.nonce = stale.read { $0.text(.nonce) }
        #expect(try #require(harness.ask(.refresh, as: client)).isSuccess)
    }

    @Test func aNonceCountsForItsClientAlone() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        client.address.port += 1
        #expect(try #require(harness.allocate(as: client)).code == .staleNonce)
        client.nonce = "made up"
        #expect(try #require(harness.allocate(as: client)).code == .staleNonce)
    }

    @Test func integrityWithoutTheRestIsABadRequest() throws {
        let harness = RelayHarness()
        var buffer = [UInt8](repeating: 0, count: 200)
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(
                into: buffer, type: STUNMessageType(.allocate, .request), transactionID: TransactionID(high: 1, low: 1))
            writer.append(.requestedTransport, leadingByte: 17)
            return writer.finish(integrity: LongTermKey(bytes: [1]).map { (.sha1, $0) })
        }
        #expect(try #require(harness.answer(Array(buffer[..<count]))).code == .badRequest)
    }

    @Test func credentialsMayEndWhileTheAllocationGoesOn() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        harness.wallTime = harness.wallTime + .seconds(601)
        #expect(try #require(harness.ask(.refresh, as: client)).isSuccess)
        client.address.port += 1
        client.nonce = nil
        #expect(try #require(harness.allocate(as: client)).code == .unauthenticated)
    }

    @Test func othersCredentialsDoNotRuleAnAllocation() throws {
        let harness = RelayHarness()
        let alice = RelayHarness.Client()
        _ = harness.allocate(as: alice)
        let bob = RelayHarness.Client(username: "2000000600:default:bob", nonce: alice.nonce)
        #expect(
            try #require(harness.ask(.refresh, as: bob) { $0.append(.lifetime, number: 0) }).code == .wrongCredentials)
        #expect(try #require(harness.permit(RelayHarness.peer, as: bob)).code == .wrongCredentials)
        #expect(harness.engine.allocationCount == 1)
    }

    /// The convention that backends implement: base64(HMAC-SHA1(secret, user name)).
    @Test func theConventionForBackends() throws {
        #expect(
            RESTCredentials.password(username: "1433895918:default:alice", secret: Array("my_secret".utf8))
                == "F6SLX4QwPwrPirGOz3RrIjIly3c=")
        let user = try #require(UserAddress(tenant: .default, user: "alice"))
        let credentials = RESTCredentials(user: user, expiresAt: WallTime(seconds: 1_433_895_918))
        #expect(credentials.username == "1433895918:default:alice")
        #expect(RESTCredentials(username: credentials.username) == credentials)
    }
}
