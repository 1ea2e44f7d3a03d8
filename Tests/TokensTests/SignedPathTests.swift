import Base
import Crypto
import Testing
import Tokens

@Suite struct SignedPathTests {
    let id: MediaID
    let key: SignedPathKey
    let now = WallTime(seconds: 1_800_000_000)

    init() throws {
        id = try #require(MediaID(bytes: Digest.sha256(Array("abc".utf8))))
        key = try #require(Self.key("k1"))
    }

    static func key(
        _ id: String, tenant: String = "acme", secret: [UInt8] = Array(0..<32), maxBytes: Int64 = 1000
    ) -> SignedPathKey? {
        Tenant(tenant).flatMap { SignedPathKey(id: id, tenant: $0, secret: secret, maxBytes: maxBytes) }
    }

    @Test func followsTheContractOfThePath() throws {
        let path = SignedPath.mint(media: id, key: key, expires: WallTime(milliseconds: 1_800_000_060_999))
        // As an operator's backend computes it.
        let message = "v1\nacme\nGET\n/media/\(id)\n1800000060\n1000"
        let code = Base64.encode(HMAC.sha256(key: Array(0..<32), Array(message.utf8)), .url)
        #expect(path == "/s/k1.1800000060.\(code)/media/\(id)")
    }

    @Test func opensWhatItNames() throws {
        let path = SignedPath.mint(media: id, key: key, expires: now + .seconds(60))
        let (signed, remainder) = try #require(SignedPath.parse(path + "/hls/master.m3u8"))
        #expect(remainder == "/hls/master.m3u8")
        #expect(SignedPath.parse(path)?.remainder == "")
        let access = try signed.verify([key], now: now)
        #expect(access.tenant.rawValue == "acme" && access.media == id && access.maxBytes == 1000)
        #expect(access.expires == now + .seconds(60))
        #expect(throws: SignedPathError.expired) { try signed.verify([key], now: now + .seconds(60)) }
        #expect(throws: SignedPathError.unknownKey) { try signed.verify([], now: now) }
    }

    @Test(arguments: [
        key("k1", tenant: "other"), key("k1", secret: Array(1..<33)), key("k1", maxBytes: 0),
    ])
    func everyPartOfTheKeyIsSigned(_ other: SignedPathKey?) throws {
        let other = try #require(other)
        let path = SignedPath.mint(media: id, key: key, expires: now + .seconds(60))
        let signed = try #require(SignedPath.parse(path)?.signed)
        #expect(throws: SignedPathError.badSignature) { try signed.verify([other], now: now) }
    }

    @Test func anotherObjectOrTimeIsNotSigned() throws {
        let path = SignedPath.mint(media: id, key: key, expires: now + .seconds(60))
        let changed = [
            path.replacing("1800000060", with: "1800000061"), path.replacing("/media/ba", with: "/media/bb"),
        ]
        for path in changed {
            let signed = try #require(SignedPath.parse(path)?.signed)
            #expect(throws: SignedPathError.badSignature) { try signed.verify([key], now: now) }
        }
        let far = SignedPath(keyID: "k1", expiresAtSeconds: .max, signature: Array(repeating: 0, count: 32), media: id)
        #expect(throws: SignedPathError.badSignature) { try far.verify([key], now: now) }
    }

    @Test func refusesBadForms() throws {
        let path = SignedPath.mint(media: id, key: key, expires: now)
        for bad in [
            "", "/", "/s/", "s" + path, path.replacing("/s/", with: "/t/"), path.replacing("/media/", with: "/other/"),
            path.replacing("k1.", with: "k1"), path.replacing("k1.", with: "."), path.replacing("k1.1", with: "k1.+1"),
            path.replacing("k1.1", with: "k1.01"), path.replacing("k1.1", with: "k1.-1"), String(path.dropLast()),
            path + "0", path.replacing("/media", with: "=/media"), path.replacing("/media/b", with: "/media/B"),
            path.replacing("/media", with: ".x/media"), path.replacing("/media", with: "//media"),
        ] {
            #expect(SignedPath.parse(bad) == nil, "\(bad)")
        }
    }

    @Test func keysHaveANameThatFitsAPath() {
        for bad in ["", "a.b", "a/b", "a b", String(repeating: "a", count: 65)] { #expect(Self.key(bad) == nil) }
        #expect(Self.key("k", secret: Array(0..<31)) == nil)
        #expect(Self.key("k", maxBytes: -1) == nil)
    }
}
