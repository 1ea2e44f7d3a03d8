package import Base
package import ConfigurationFile
import RelayEngine
package import RelayService
import STUN

/// The files that the relay's credentials stand in.
package struct RelayCredentialsConfiguration: Equatable, Sendable {
    /// A key of an authorisation server (RFC 7635).
    package struct TokenKey: Equatable, Sendable {
        /// What clients show as USERNAME.
        package var id = ""
        /// Whose users its tokens speak for.
        package var tenant = Tenant.default
        /// 16 or 32 bytes in base64 or hexadecimal, mode 0600.
        package var file = ""
    }

    package struct Realm: Equatable, Sendable {
        package var name = ""
        package var tenant: Tenant?
        package var secretFiles: [String] = []
        package var usersFile: String?
        package var listenAddresses: [SocketAddress] = []
        package var serverNames: [String] = []
    }

    package static let maxSecrets = 8
    package static let maxTokenKeys = 64
    package static let maxUsers = 10_000

    /// The secret of TURN credentials: a text of at least 16 bytes, mode 0600.
    package var secretFile = ""
    /// Secrets that count too.
    package var furtherSecretFiles: [String] = []
    /// Users whom the relay knows by itself: lines of `user:password` or `tenant/user:password`, mode 0600.
    package var usersFile: String?
    package var tokenServerName: String?
    package var tokenKeys: [TokenKey] = []
    package var realms: [Realm] = []
    package var hookSecretFile: String?
    package var hookAuthorityFile: String?

    package init() {}

    package mutating func read(_ section: ConfigurationSection) {
        section.readPath("secret_file", &secretFile, isRequired: true)
        section.readPaths("further_secret_files", &furtherSecretFiles, maxCount: Self.maxSecrets)
        section.readPath("users_file", &usersFile)
        section.section("access_tokens") { section in
            section.read("server_name", &tokenServerName)
            tokenKeys = section.list("keys", maxCount: Self.maxTokenKeys) { section in
                var key = TokenKey()
                section.read("id", &key.id, isRequired: true)
                section.readName("tenant", &key.tenant, Tenant.init)
                section.readPath("file", &key.file, isRequired: true)
                return key
            }
            if (tokenServerName == nil) != tokenKeys.isEmpty {
                section.reject("server_name", "and keys belong together")
            }
            if Set(tokenKeys.map(\.id)).count != tokenKeys.count { section.reject("keys", "names two keys alike (id)") }
        }
        realms = section.list("realms", maxCount: RelayService.Configuration.maxRealms) { section in
            var realm = Realm()
            section.read("name", &realm.name, isRequired: true)
            section.read("tenant", &realm.tenant, "1 to 64 of letters, digits, '.', - and _", parse: { Tenant($0) })
            section.readPaths("secret_files", &realm.secretFiles, maxCount: Self.maxSecrets)
            section.readPath("users_file", &realm.usersFile)
            section.read("listen_addresses", &realm.listenAddresses, maxCount: RelayService.Configuration.maxListeners)
            section.read("server_names", &realm.serverNames, "a host name", maxCount: 64) {
                $0.isEmpty ? nil : $0.lowercased()
            }
            return realm
        }
    }

    /// Reads the files.
    ///
    /// - Throws: `EdgeError` that names the file which is wrong.
    package func load(into configuration: inout RelayService.Configuration) throws {
        configuration.sharedSecret = try SecretFile.readPassphrase(secretFile)
        configuration.furtherSharedSecrets = try furtherSecretFiles.map(SecretFile.readPassphrase)
        configuration.users = try usersFile.map { try Self.readUsers($0, tenant: .default) } ?? []
        if let tokenServerName {
            configuration.accessTokens = AccessTokenRules(
                serverName: tokenServerName,
                keys: try tokenKeys.map { key in
                    AccessTokenRules.Key(
                        id: key.id, sealingKey: try SecretFile.readKey(key.file, sizes: [16, 32]), tenant: key.tenant)
                })
        }
        if configuration.authorizationHook.url != nil {
            configuration.authorizationHook.secret = try hookSecretFile.map(SecretFile.readPassphrase) ?? []
            configuration.authorizationHook.authorityPEM = try hookAuthorityFile.map(SecretFile.readPublicText)
        }
        configuration.realms = try realms.map { realm in
            var loaded = RelayService.Configuration.Realm()
            loaded.name = realm.name
            loaded.tenant = realm.tenant
            loaded.sharedSecrets = try realm.secretFiles.map(SecretFile.readPassphrase)
            loaded.users = try realm.usersFile.map { try Self.readUsers($0, tenant: realm.tenant ?? .default) } ?? []
            loaded.listenAddresses = realm.listenAddresses
            loaded.serverNames = realm.serverNames
            return loaded
        }
    }

    /// Lines of `user:password` or `tenant/user:password`; what stands before the colon is the user name that clients show. Empty
    /// lines and those that begin with # count for nothing.
    private static func readUsers(_ path: String, tenant: Tenant) throws -> [StaticUser] {
        var users: [String: StaticUser] = [:]
        let text = try SecretFile.readText(path, limit: 4 << 20)
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            guard !line.isEmpty, line.first != "#" else { continue }
            guard let user = staticUser(line, tenant: tenant), users.count < maxUsers,
                users.updateValue(user, forKey: user.username) == nil
            else {
                throw EdgeError(
                    .invalid,
                    "line \(index + 1) of \(path) is no further user: it has to be user:password or tenant/user:password, at most"
                        + " \(maxUsers)", side: .internal)
            }
        }
        return users.values.sorted { $0.username < $1.username }
    }

    private static func staticUser(_ line: Substring, tenant: Tenant) -> StaticUser? {
        guard let colon = line.firstIndex(of: ":") else { return nil }
        let username = line[..<colon]
        let parts = username.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let last = parts.last,
            let tenant = parts.count == 2 ? Tenant(parts[0]) : tenant,
            let user = UserAddress(tenant: tenant, user: last),
            let password = OpaqueString.prepare(String(line[line.index(after: colon)...]))
        else { return nil }
        return StaticUser(username: String(username), user: user, password: password)
    }
}
