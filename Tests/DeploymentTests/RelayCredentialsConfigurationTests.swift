import Base
import ConfigurationFile
import Deployment
import Glibc
import RelayEngine
import RelayService
import Runtime
import Testing

@Suite final class RelayCredentialsConfigurationTests {
    let directory: String

    init() throws {
        directory = "/tmp/skerry-relay-\(UUID.v7(at: WallClock.now()))"
        try FileSystem.makeDirectory(directory)
        try write("relay.secret", "a secret of the node\n")
    }

    deinit {
        for name in (try? FileSystem.names(in: directory)) ?? [] { try? FileSystem.remove("\(directory)/\(name)") }
        rmdir(directory)
    }

    private func write(_ name: String, _ text: String, mode: UInt32 = 0o600) throws {
        try FileSystem.replace("\(directory)/\(name)", with: Array(text.utf8), mode: mode)
    }

    private func load(_ yaml: String) throws -> RelayService.Configuration {
        let credentials = try ConfigurationFile.parse(Array(yaml.utf8), name: "test", directory: directory + "/") {
            var credentials = RelayCredentialsConfiguration()
            credentials.read($0)
            return credentials
        }
        var loaded = RelayService.Configuration()
        try credentials.load(into: &loaded)
        return loaded
    }

    @Test func everyKindOfCredential() throws {
        try write("old.secret", "another secret of 16\n")
        try write("acme.secret", "the secret of acme's own")
        try write("users", "# who is who\n\nalice:s\u{E4}cret:with colon\nacme/bob:caf\u{65}\u{301}\r\n")
        try write("acme.users", "carol:pass\n")
        try write("north.key", Base64.encode(Array(0..<32)))
        try write("union.key", Hex.encode(Array(0..<16)))
        var loaded = try load(
            """
            secret_file: relay.secret
            further_secret_files: [old.secret]
            users_file: users
            access_tokens:
              server_name: turn.example
              keys:
                - {id: north, file: north.key}
                - {id: union, tenant: acme, file: union.key}
            realms:
              - name: acme.example
                tenant: acme
                secret_files: [acme.secret]
                users_file: acme.users
                listen_addresses: ["192.0.2.1:3478"]
                server_names: [TURN.acme.example]
            """)
        let acme = try #require(Tenant("acme"))
        #expect(loaded.sharedSecret == Array("a secret of the node".utf8))
        #expect(loaded.furtherSharedSecrets == [Array("another secret of 16".utf8)])
        // Passwords are in normal form.
        #expect(
            loaded.users == [
                StaticUser(
                    username: "acme/bob", user: try #require(UserAddress(tenant: acme, user: "bob")),
                    password: "caf\u{E9}"),
                StaticUser(
                    username: "alice", user: try #require(UserAddress(tenant: .default, user: "alice")),
                    password: "s\u{E4}cret:with colon"),
            ])
        #expect(loaded.users[0].password.unicodeScalars.count == 4)
        #expect(loaded.accessTokens?.serverName == "turn.example")
        #expect(loaded.accessTokens?.keys.map(\.sealingKey) == [Array(0..<32), Array(0..<16)])
        #expect(loaded.accessTokens?.keys.map(\.tenant) == [.default, acme])
        #expect(loaded.realms.map(\.name) == ["acme.example"])
        #expect(loaded.realms[0].users.map(\.user.tenant) == [acme])
        // A name says more than an address.
        let own = try #require(SocketAddress("192.0.2.1:3478"))
        let other = try #require(SocketAddress("192.0.2.2:3478"))
        loaded.listenAddresses = [other, own]
        loaded.tlsListenAddresses = [other]
        let choice = RelayRealmChoice(loaded)
        #expect([0, 1].map { choice.realm(of: .udp, listener: $0) } == [0, 1])
        #expect(choice.realm(of: .tcp, listener: 1, serverName: "elsewhere.example") == 1)
        #expect(choice.realm(of: .tls, listener: 0) == 0)
        #expect(choice.realm(of: .tls, listener: 0, serverName: "turn.ACME.example") == 1)
        #expect(choice.realm(of: .dtls, listener: 0, serverName: "elsewhere.example") == 0)
    }

    @Test(arguments: [
        "alice", ":password", "alice:", "a/b/c:password", "al ice:password", "alice:one\nalice:two", "alice:tab\there",
    ])
    func whatIsNoUserIsRefused(lines: String) throws {
        try write("users", lines)
        let error = #expect(throws: EdgeError.self) { try self.load("secret_file: relay.secret\nusers_file: users") }
        // The line is told, and no password.
        #expect(error.map { "\($0)".contains("users") && !"\($0)".contains("tab") } == true)
    }

    @Test func filesThatOthersReadAndKeysOfOtherSizesAreRefused() throws {
        try write("users", "alice:password", mode: 0o644)
        #expect(throws: EdgeError.self) { try self.load("secret_file: relay.secret\nusers_file: users") }
        try write("short.key", Hex.encode(Array(0..<15)))
        #expect(throws: EdgeError.self) {
            try self.load(
                "secret_file: relay.secret\naccess_tokens: {server_name: s, keys: [{id: a, file: short.key}]}")
        }
        #expect(throws: ConfigurationError.self) {
            try self.load("secret_file: relay.secret\naccess_tokens: {server_name: s}")
        }
    }
}
