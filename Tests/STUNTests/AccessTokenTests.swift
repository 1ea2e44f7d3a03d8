import Base
import Crypto
import STUN
import Testing

@Suite struct AccessTokenTests {
    static let server = "turn.example.org"
    static let key256 = Array("01234567890123456789012345678901".utf8)
    static let key128 = Array("1234567890123456".utf8)
    static let token = AccessToken(
        key: LongTermKey(bytes: "01234567890123456789".utf8)!, issuedAt: WallTime(seconds: 1_700_000_000),
        lifetimeSeconds: 3600)

    /// Made by coturn: `turnutils_oauth --encrypt --server-name turn.example.org --auth-key-as-rs-alg A256GCM (A128GCM)
    /// --token-nonce MTIzNDU2Nzg5MDEy --token-mac-key … --token-lifetime 3600 --token-timestamp 111411200000000`.
    @Test(
        arguments: [
            ("AAwxMjM0NTY3ODkwMTIi5k4R3YFW/A3qtula0KmZJnaxWbys3IM35mmnHwA5jAybQCWGzICV31I0qW77rygcaA==", key256),
            ("AAwxMjM0NTY3ODkwMTKxZV6Z6qJgPZHGI4xmAGh3wktOM0f6rIgM+WTNOD6P3Rgke1UMIoP+fnC7G40T5F/0Lw==", key128),
        ])
    func readsAndWritesCoturnsTokens(text: String, sealingKey: [UInt8]) throws {
        let sealed = try #require(Base64.decode(text))
        let token = try #require(AccessToken(opening: sealed, sealingKey: sealingKey, serverName: Self.server))
        #expect(token == Self.token)
        #expect(token.expiresAt == WallTime(seconds: 1_700_003_600))
        #expect(
            token.sealed(sealingKey: sealingKey, serverName: Self.server, nonce: Array("123456789012".utf8)) == sealed)
    }

    @Test func otherKeysServersAndBytes() {
        let sealed = Self.token.sealed(
            sealingKey: Self.key256, serverName: Self.server, nonce: Array("123456789012".utf8))
        func opens(_ bytes: [UInt8], _ key: [UInt8] = Self.key256, _ server: String = Self.server) -> Bool {
            AccessToken(opening: bytes, sealingKey: key, serverName: server) != nil
        }
        #expect(opens(sealed))
        #expect(!opens(sealed, Self.key128))
        #expect(!opens(sealed, Array(Self.key256.dropLast())))
        #expect(!opens(sealed, Self.key256, "turn.example.com"))
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(!opens(changed))
        }
        for count in 0..<sealed.count { #expect(!opens(Array(sealed[..<count]))) }
        for count in 1...300 { #expect(!opens(sealed + Array(repeating: 0, count: count))) }
        // A nonce that announces more than there is.
        #expect(!opens([0xFF, 0xFF] + sealed[2...]))
    }

    /// What is sealed well and is no token: wrong lengths behind the tag.
    @Test(arguments: [0, 1, 19, 21, 33, 65_535])
    func keyLengthsThatAreNotThere(count: Int) {
        let nonce = Array("123456789012".utf8)
        var sealed = Self.token.sealed(sealingKey: Self.key256, serverName: Self.server, nonce: nonce)
        let block = sealed[14...]
        var plain: [UInt8] = [UInt8(count >> 8), UInt8(count & 0xFF)]
        plain += Array(repeating: 7, count: block.count - 16 - 2)
        sealed =
            [0, 12] + nonce
            + AESGCM.seal(plain, key: Self.key256, nonce: nonce, authenticating: Array(Self.server.utf8))
        #expect(AccessToken(opening: sealed, sealingKey: Self.key256, serverName: Self.server) == nil)
    }

    /// 48 bits of seconds and 16 of 1/64000: as far as they go.
    @Test(arguments: [0, 1, 999, 1_700_000_000_123])
    func timestamps(milliseconds: Int64) {
        let token = AccessToken(
            key: Self.token.key, issuedAt: WallTime(milliseconds: milliseconds), lifetimeSeconds: .max)
        let sealed = token.sealed(sealingKey: Self.key128, serverName: "", nonce: Array(repeating: 1, count: 12))
        #expect(AccessToken(opening: sealed, sealingKey: Self.key128, serverName: "") == token)
    }
}
