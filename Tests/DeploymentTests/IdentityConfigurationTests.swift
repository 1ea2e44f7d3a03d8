import Base
import ConfigurationFile
import Crypto
import Deployment
import Glibc
import Runtime
import Testing
import Tokens

@Suite final class IdentityConfigurationTests {
    let directory: String

    init() throws {
        directory = "/tmp/skerry-identity-\(UUID.v7(at: WallClock.now()))"
        try FileSystem.makeDirectory(directory)
    }

    deinit {
        for name in (try? FileSystem.names(in: directory)) ?? [] { try? FileSystem.remove("\(directory)/\(name)") }
        rmdir(directory)
    }

    private func write(_ name: String, _ text: String, mode: UInt32 = 0o600) throws {
        try FileSystem.replace("\(directory)/\(name)", with: Array(text.utf8), mode: mode)
    }

    private func identity(_ yaml: String) throws -> IdentityConfiguration {
        try ConfigurationFile.parse(Array(yaml.utf8), name: "test", directory: directory + "/") { section in
            section.section("identity", IdentityConfiguration.init)
        }
    }

    private func accepts(_ identity: IdentityConfiguration, _ kid: String, _ key: SigningKey) throws -> Bool {
        let owner = try #require(UserAddress(tenant: .default, user: "alice"))
        let address = try #require(DeviceAddress(owner: owner, device: "phone"))
        let now = WallTime(seconds: 1_800_000_000)
        let token = TokenMint(keyID: kid, key: key, issuer: nil).mint(
            for: address, scopes: [], now: now, life: .seconds(60))
        let verifier = try identity.loadVerifier()
        return (try? verifier.verify(token, now: now)) != nil
    }

    @Test func loadsKeysOfEveryKind() throws {
        let (ed, ec) = (SigningKey.generateEd25519(), SigningKey.generateP256())
        let secret = Array(0..<32) as [UInt8]
        let hs = try SigningKey(secret: secret)
        try write("ed.pem", try #require(ed.verificationKey.pem), mode: 0o644)
        try write("ec.pem", try #require(ec.pem))
        try write("hs.txt", Base64.encode(secret) + "\n")
        let jwk = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"set\",\"k\":\"\(Base64.encode(secret, .url))\"}]}"
        try write("set.json", jwk)
        let identity = try identity(
            """
            identity:
              keys:
                - {kid: ed, file: ed.pem}
                - {kid: ec, algorithm: ES256, file: ec.pem}
                - {kid: hs, algorithm: HS256, file: hs.txt}
              jwks_file: set.json
            """)
        #expect(try accepts(identity, "ed", ed))
        #expect(try accepts(identity, "ec", ec))
        #expect(try accepts(identity, "hs", hs))
        #expect(try accepts(identity, "set", hs))
        #expect(try accepts(identity, "ed", hs) == false)
    }

    @Test func refusesKeysThatDoNotFit() throws {
        func refused(_ keys: String, _ part: String) throws {
            let identity = try identity("identity:\n  keys: [\(keys)]\n")
            #expect { try identity.loadVerifier() } throws: { "\($0)".contains(part) }
        }
        try write("ed.pem", try #require(SigningKey.generateEd25519().pem))
        try refused("{kid: a, algorithm: ES256, file: ed.pem}", "holds no key for ES256")
        try refused("{kid: a, file: none.pem}", "cannot be read")
        try write("text.pem", "hello")
        try refused("{kid: a, file: text.pem}", "holds no key for EdDSA")
        try write("short.txt", Base64.encode([1, 2, 3]))
        try refused("{kid: a, algorithm: HS256, file: short.txt}", "at least 32 bytes")
        try write("open.txt", Base64.encode(Array(repeating: 7, count: 32)), mode: 0o640)
        try refused("{kid: a, algorithm: HS256, file: open.txt}", "mode 640")
        try write("open.pem", try #require(SigningKey.generateEd25519().pem), mode: 0o644)
        try refused("{kid: a, file: open.pem}", "mode 644")
    }

    @Test func readsSecretsThatAreText() throws {
        try write("relay.secret", "0123456789abcdef\n")
        #expect(try SecretFile.readPassphrase("\(directory)/relay.secret") == Array("0123456789abcdef".utf8))
        try write("short.secret", "0123456789abcde\n")
        #expect(throws: EdgeError.self) { try SecretFile.readPassphrase("\(directory)/short.secret") }
    }

    @Test func refusesConfigurationWithoutOrWithTwiceNamedKeys() {
        func problem(_ yaml: String) -> String {
            do {
                _ = try identity(yaml)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(problem("identity:\n  issuer: x\n").contains("test:1: identity.keys has no key"))
        let twice = "identity:\n  keys:\n    - {kid: a, file: a}\n    - {kid: a, file: b}\n"
        #expect(problem(twice) == "test:2: identity.keys names two keys alike (kid)")
        #expect(problem("identity:\n  keys: [{kid: a, algorithm: none, file: a}]\n").contains("EdDSA, ES256, HS256"))
    }
}
