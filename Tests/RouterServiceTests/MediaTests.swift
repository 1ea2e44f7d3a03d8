import Base
import Crypto
import RouterService
import Runtime
import SQLite
import Testing
import Tokens
import UplinkService
import Wire

@Suite(.timeLimit(.minutes(1))) struct MediaTests {
    private let media: MediaID
    private let key = Array(repeating: UInt8(5), count: 32)

    init() throws { media = try #require(MediaID(bytes: Digest.sha256([1, 2, 3]))) }

    private func register(
        _ central: Central, _ edge: Edge, _ user: String, object: UInt64, mode: MediaMode = .managed,
        retention: MediaRetention = .seconds(3600)
    ) async throws -> MediaRegistered {
        let request = MediaRegister(
            token: try central.token("\(user)/phone"), uploadCreatedAt: central.clock.now, media: media,
            object: id(object),
            sizeBytes: 3, storedBytes: mode == .managed ? 19 : 3, mode: mode, retention: retention,
            manifestRoot: Array(repeating: 8, count: 32), contentType: "image/jpeg", filename: "a.jpg",
            objectKey: mode == .managed ? key : nil)
        guard case .mediaRegistered(let registered) = try await edge.ask(.mediaRegister(request)) else {
            throw EdgeError(.corrupt, "not registered")
        }
        return registered
    }

    private func derive(_ edge: Edge, object: UInt64) async throws -> MediaRegistered {
        let request = MediaRegister(
            token: nil, uploadCreatedAt: WallTime(milliseconds: 0), media: media, variant: "thumbnail/320.webp",
            object: id(object), sizeBytes: 1, storedBytes: 17, mode: .managed, retention: .pinned,
            manifestRoot: Array(repeating: 9, count: 32), contentType: "image/webp", objectKey: key)
        guard case .mediaRegistered(let registered) = try await edge.ask(.mediaRegister(request)) else {
            throw EdgeError(.corrupt, "not registered")
        }
        return registered
    }

    private func lookUp(
        _ edge: Edge, _ authorization: MediaAuthorization, variant: String = "", waitMilliseconds: UInt32 = 0
    ) async throws -> MediaFound {
        let lookup = MediaLookup(
            authorization: authorization, media: media, variant: variant, waitMilliseconds: waitMilliseconds)
        guard case .mediaFound(let found) = try await edge.ask(.mediaLookup(lookup)) else {
            throw EdgeError(.corrupt, "not found")
        }
        return found
    }

    private func kind(_ central: Central, _ edge: Edge, _ user: String, tenant: String = "default") async -> EdgeError
        .Kind?
    {
        await refusal { _ = try await lookUp(edge, .token(central.token("\(user)/phone", tenant: tenant))) }
    }

    @Test func whoUploadedFindsItFromAnyEdgeAndOthersFindNothing() async throws {
        let central = try Central()
        let (a, b) = (try central.edge("a"), try central.edge("b", region: "south"))
        #expect(await kind(central, b, "alice") == .notFound)
        let registered = try await register(central, a, "alice", object: 1)
        #expect(registered == .init(object: id(1), expiresAt: central.clock.now + .seconds(3600)))
        let found = try await lookUp(b, .token(central.token("alice/phone")))
        #expect(found.object == id(1) && found.objectKey == key && found.manifestRoot == Array(repeating: 8, count: 32))
        #expect(found.holders == [a.link.node])
        #expect(found.leaseMilliseconds == 60_000 && !found.noStore && found.filename == "a.jpg")
        #expect(await kind(central, b, "bob") == .notFound)
        #expect(await kind(central, b, "alice", tenant: "other") == .notFound)
        let narrow = try central.token("alice/phone", scopes: ["connect"])
        #expect(await refusal { _ = try await lookUp(b, .token(narrow)) } == .forbidden)
        // A second edge fetches it and holds it too; then the first loses it.
        await b.service.handle(.mediaHold(object: id(1), holds: true), from: b.link)
        await b.service.handle(.mediaHold(object: id(1), holds: false), from: a.link)
        // What the directory does not know the edge deletes. It is answered after what was said before.
        await b.service.handle(.mediaHold(object: id(77), holds: true), from: b.link)
        await b.purged(id(77))
        #expect(try await lookUp(a, .token(central.token("alice/phone"))).holders == [b.link.node])
    }

    @Test func grantsReleasesAndTheLastReference() async throws {
        let central = try Central()
        let (a, b) = (try central.edge("a"), try central.edge("b"))
        _ = try await register(central, a, "alice", object: 1)
        await b.service.handle(.mediaHold(object: id(1), holds: true), from: b.link)
        func grant(by user: String, to users: [String]) async -> EdgeError.Kind? {
            await refusal {
                _ = try await a.ask(
                    .mediaGrant(
                        MediaGrant(
                            token: central.token("\(user)/phone"), media: media, users: users, expiresInSeconds: 60)))
            }
        }
        func release(_ user: String) async -> EdgeError.Kind? {
            await refusal {
                _ = try await a.ask(.mediaRelease(MediaRelease(token: central.token("\(user)/phone"), media: media)))
            }
        }
        #expect(await grant(by: "bob", to: ["bob"]) == .notFound)
        #expect(await grant(by: "alice", to: ["bob", "b ob"]) == .invalid)
        #expect(await grant(by: "alice", to: ["bob", "carol"]) == nil)
        #expect(await kind(central, b, "bob") == nil)
        #expect(try await lookUp(b, .token(central.token("bob/phone"))).leaseMilliseconds == 60_000)
        central.advance(by: .milliseconds(59_990))
        #expect(try await lookUp(b, .token(central.token("bob/phone"))).leaseMilliseconds == 10)
        #expect(await release("bob") == nil)
        #expect(await kind(central, b, "bob") == .notFound)
        #expect(await release("bob") == .notFound)
        central.advance(by: .milliseconds(10))
        #expect(await kind(central, b, "carol") == .notFound, "the grant has expired")
        #expect(await kind(central, b, "alice") == nil)
        #expect(await release("alice") == nil)
        #expect(await kind(central, b, "alice") == .notFound)
        await a.purged(id(1))
        await b.purged(id(1))
    }

    @Test func anUploadMayOutliveItsTokenAndBeOlderThanTheNextOne() async throws {
        let central = try Central()
        let a = try central.edge("a")
        let created = central.clock.now
        let token = try central.token("alice/phone", life: .seconds(600))
        func register(_ token: String, object: UInt64) async -> EdgeError.Kind? {
            await refusal {
                let request = MediaRegister(
                    token: token, uploadCreatedAt: created, media: media, object: id(object), sizeBytes: 3,
                    storedBytes: 19,
                    mode: .managed, retention: .pinned, manifestRoot: Array(repeating: 8, count: 32),
                    contentType: "image/jpeg", objectKey: key)
                _ = try await a.ask(.mediaRegister(request))
            }
        }
        central.clock.advance(by: .seconds(3600))
        #expect(await register(token, object: 1) == nil)
        let between = try central.token("alice/phone", life: .seconds(600))
        central.clock.advance(by: .seconds(86_400))
        #expect(await register(between, object: 1) == nil)
        #expect(await register(try central.token("alice/phone"), object: 1) == nil)
        #expect(await register(try central.token("alice/phone", scopes: ["media:read"]), object: 1) == .forbidden)
        central.clock.advance(by: .seconds(8 * 86_400))
        #expect(await register(token, object: 1) == .unauthenticated)
        #expect(await register(try central.token("alice/phone"), object: 1) == .unauthenticated)
    }

    @Test func sealedMediaIsForWhoKnowsTheIdInTheTenant() async throws {
        let central = try Central()
        let a = try central.edge("a")
        _ = try await register(central, a, "alice", object: 1, mode: .sealed)
        #expect(try await lookUp(a, .token(central.token("bob/phone"))).objectKey == nil)
        #expect(await kind(central, a, "bob", tenant: "other") == .notFound)
        #expect(
            await refusal { _ = try await lookUp(a, .token(central.token("bob/phone")), variant: "thumbnail/320.webp") }
                == .notFound)
    }

    @Test func signedPathsOpenWhatTheyName() async throws {
        let central = try Central()
        let a = try central.edge("a")
        _ = try await register(central, a, "alice", object: 1)
        let key = try #require(Central.pathKey)
        let text = SignedPath.mint(media: media, key: key, expires: central.clock.now + .seconds(30))
        let signed = try #require(SignedPath.parse(text)?.signed)
        var path = SignedMediaPath(
            keyID: signed.keyID, expiresAtSeconds: signed.expiresAtSeconds, signature: signed.signature, method: "GET",
            pathPrefix: "/media/\(media)")
        let found = try await lookUp(a, .signedPath(path))
        #expect(found.leaseMilliseconds == 30_000)
        // An edge that loses the central serves no longer than the path is good.
        #expect(found.expiresAt == WallTime(seconds: path.expiresAtSeconds))
        path.expiresAtSeconds += 1
        #expect(await refusal { _ = try await lookUp(a, .signedPath(path)) } == .notFound)
        path.expiresAtSeconds -= 1
        central.clock.advance(by: .seconds(30))
        #expect(await refusal { _ = try await lookUp(a, .signedPath(path)) } == .notFound)
    }

    @Test func aStatusShowsItsMediaToItsAudienceUntilItIsOver() async throws {
        let central = try Central()
        let a = try central.edge("a")
        let alice = try await a.connect(central.token("alice/phone"))
        let mallory = try await a.connect(central.token("mallory/phone"))
        _ = try await register(central, a, "alice", object: 1)
        await mallory.send(.statusPost(.init(id: id(50), audience: ["mallory", "bob"], media: media)))
        #expect(await mallory.refused(id(50)) == .notFound, "what one cannot read one cannot show")
        await alice.send(.statusPost(.init(id: id(51), audience: ["bob"], media: media, expiresInMilliseconds: 5000)))
        _ = await alice.accepted(id(51))
        let found = try await lookUp(a, .token(central.token("bob/phone")))
        #expect(found.noStore && found.leaseMilliseconds == 5000 && found.expiresAt == central.clock.now + .seconds(5))
        #expect(await kind(central, a, "carol") == .notFound)
        central.clock.advance(by: .milliseconds(4999))
        #expect(await kind(central, a, "bob") == nil)
        central.clock.advance(by: .milliseconds(1))
        #expect(await kind(central, a, "bob") == .notFound)
        #expect(await kind(central, a, "alice") == nil)
        await alice.send(.statusPost(.init(id: id(52), audience: ["bob"], media: media)))
        _ = await alice.accepted(id(52))
        #expect(await kind(central, a, "bob") == nil)
        await alice.send(.statusDelete(.init(id: id(53), status: id(52))))
        _ = await alice.accepted(id(53))
        #expect(await kind(central, a, "bob") == .notFound)
    }

    @Test func aSizeThatNoEdgeCanHaveIsRefused() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let request = MediaRegister(
            token: try central.token("alice/phone"), uploadCreatedAt: central.clock.now, media: media, object: id(1),
            sizeBytes: .max, storedBytes: .max, mode: .sealed, retention: .pinned,
            manifestRoot: Array(repeating: 8, count: 32), contentType: "image/jpeg", filename: nil, objectKey: nil)
        #expect(await refusal { _ = try await edge.ask(.mediaRegister(request)) } == .invalid)
    }

    @Test func theSameContentIsKeptOncePerTenantWhileSomebodyHasIt() async throws {
        let central = try Central()
        let (a, b) = (try central.edge("a"), try central.edge("b"))
        _ = try await register(central, a, "alice", object: 1)
        let second = try await register(central, b, "bob", object: 2, retention: .seconds(7200))
        #expect(second == .init(object: id(1), expiresAt: central.clock.now + .seconds(7200)))
        #expect(await kind(central, b, "bob") == nil)
        // Sealed is another object, and so is another tenant's.
        #expect(try await register(central, b, "bob", object: 3, mode: .sealed).object == id(3))
        // Whoever had it is gone: the new copy stands for it, the old one is purged when its edge comes back.
        a.goDown()
        #expect(try await register(central, b, "bob", object: 4).object == id(4))
        #expect(try await lookUp(b, .token(central.token("alice/phone"))).holders == [b.link.node])
        try await central.edge("a").purged(id(1))
    }

    @Test func expiryIsExactAndDestroysTheKeys() async throws {
        let central = try Central()
        let a = try central.edge("a")
        _ = try await register(central, a, "alice", object: 1, retention: .seconds(10))
        _ = try await derive(a, object: 2)
        central.clock.advance(by: .milliseconds(9999))
        #expect(await kind(central, a, "alice") == nil)
        central.clock.advance(by: .milliseconds(1))
        #expect(await kind(central, a, "alice") == .notFound, "before anything is deleted")
        central.service.checkDeadlines()
        await a.purged(id(1))
        await a.purged(id(2))
        let database = try Database(path: central.configuration.databasePath, mode: .readOnly)
        func count(_ table: String) throws -> Int? { try database.first("SELECT COUNT(*) FROM \(table)") { $0.int(0) } }
        #expect(try count("media") == 0)
        #expect(try count("reference") == 0)
        #expect(try count("bucket_key") == 1)
        // The hour's key goes when the hour is over, and stays nowhere in the file.
        let wrapped = try #require(try database.first("SELECT wrapped_key FROM bucket_key") { $0.blob(0) })
        central.advance(by: .seconds(3600))
        while try count("bucket_key") != 0 { try await Task.sleep(for: .milliseconds(5)) }
        central.advance(by: .seconds(5))
        while try contains(wrapped, central) { try await Task.sleep(for: .milliseconds(20)) }
    }

    private func contains(_ needle: [UInt8], _ central: Central) throws -> Bool {
        let path = central.configuration.databasePath
        let bytes = try FileSystem.read(path) + FileSystem.read(path + "-wal", limit: 1 << 26)
        return bytes.indices.contains { bytes[$0...].starts(with: needle) }
    }

    @Test func aLookupWaitsForADerivative() async throws {
        let central = try Central(usesWallClock: true)
        let a = try central.edge("a")
        let request = MediaRegister(
            token: try central.token("alice/phone"), uploadCreatedAt: WallClock.now(), media: media, object: id(1),
            sizeBytes: 3, storedBytes: 19, mode: .managed, retention: .pinned,
            manifestRoot: Array(repeating: 8, count: 32), contentType: "image/jpeg", objectKey: key)
        _ = try await a.ask(.mediaRegister(request))
        let token = MediaAuthorization.token(try central.token("alice/phone"))
        #expect(
            await refusal { _ = try await lookUp(a, token, variant: "thumbnail/320.webp", waitMilliseconds: 20) }
                == .notFound)
        async let found = lookUp(a, token, variant: "thumbnail/320.webp", waitMilliseconds: 30_000)
        try await Task.sleep(for: .milliseconds(30))
        #expect(
            await refusal { _ = try await derive(central.edge("b"), object: 3) } == .notFound, "it holds no original")
        #expect(try await derive(a, object: 2).object == id(2))
        #expect(try await found.object == id(2))
        #expect(try await lookUp(a, token).derivatives.map(\.variant) == ["thumbnail/320.webp"])
        #expect(try await lookUp(a, token).expiresAt == nil)
    }

    @Test func aRestartKeepsObjectsAndKeys() async throws {
        let central = try Central()
        _ = try await register(central, central.edge("a"), "alice", object: 1)
        try central.restart()
        let a = try central.edge("a")
        let found = try await lookUp(a, .token(central.token("alice/phone")))
        #expect(found.objectKey == key && found.holders == [a.link.node])
    }

    @Test func aRootKeyThatOthersCanReadIsRefused() throws {
        let central = try Central()
        try FileSystem.replace(central.configuration.rootKeyPath, with: randomBytes(32), mode: 0o644)
        #expect { try central.restart() } throws: { ($0 as? EdgeError)?.kind == .forbidden }
        try FileSystem.replace(central.configuration.rootKeyPath, with: randomBytes(31))
        #expect { try central.restart() } throws: { ($0 as? EdgeError)?.kind == .corrupt }
    }
}
