package import Base
package import RelayEngine

extension RelayService.Configuration {
    package static let maxRealms = 64

    /// A realm of its own, for clients that come to certain addresses or ask for certain names.
    package struct Realm: Equatable, Sendable {
        package var name = ""
        /// The only tenant whose users count in it. Default: all.
        package var tenant: Tenant?
        /// Secrets of TURN REST credentials that count in it; the first is what credentials are made under.
        package var sharedSecrets: [[UInt8]] = []
        package var users: [StaticUser] = []
        /// Clients of these listeners are asked for credentials of this realm.
        package var listenAddresses: [SocketAddress] = []
        /// So are those that name one of these in TLS or DTLS.
        package var serverNames: [String] = []

        package init() {}
    }

    var quotas: RelayQuotas {
        RelayQuotas(
            maxAllocations: maxAllocations, maxAllocationsPerTenant: maxAllocationsPerTenant,
            maxAllocationsPerUser: maxAllocationsPerUser, maxBytesPerSecond: maxBytesPerSecond,
            maxBytesPerSecondPerTenant: maxBytesPerSecondPerTenant,
            maxBytesPerSecondPerUser: maxBytesPerSecondPerUser)
    }

    func checkCredentials() throws {
        func require(_ condition: Bool, _ message: String) throws {
            if !condition { throw EdgeError(.invalid, message, side: .internal) }
        }
        let all = [sharedSecret] + furtherSharedSecrets + realms.flatMap(\.sharedSecrets)
        try require(all.allSatisfy { $0.count >= 16 }, "the relay's shared secrets have to have at least 16 bytes")
        try require(
            RelayRealm.fits(name: realm, serverName: accessTokens?.serverName)
                && realms.allSatisfy { RelayRealm.fits(name: $0.name, serverName: nil) },
            "a realm has to have 1 to \(RelayRealm.maxChallengeTextByteCount) bytes, with the server name of access tokens"
                + " fewer")
        try require(
            Set(realms.map(\.name) + [realm]).count == realms.count + 1 && realms.count <= Self.maxRealms,
            "the relay's realms have to have different names")
        try require(
            accessTokens?.keys.allSatisfy { [16, 32].contains($0.sealingKey.count) } ?? true,
            "the keys of access tokens have to have 16 or 32 bytes")
    }

    /// The engine's realms: the default one first.
    ///
    /// - Parameter asksOperator: about users whom nothing here knows.
    func engineRealms(asksOperator: Bool) -> [RelayRealm] {
        var first = RelayRealm.Configuration(name: realm)
        first.sharedSecrets = [sharedSecret] + furtherSharedSecrets
        first.users = users
        first.accessTokens = accessTokens
        first.asksOperator = asksOperator
        return [RelayRealm(first)]
            + realms.map { realm in
                var more = RelayRealm.Configuration(name: realm.name)
                more.tenant = realm.tenant
                more.sharedSecrets = realm.sharedSecrets
                more.users = realm.users
                more.asksOperator = asksOperator
                return RelayRealm(more)
            }
    }

}

/// Which realm a client is asked for: that of the name which it has shown in TLS, else that of the listener.
package struct RelayRealmChoice: Sendable {
    private let plain: [UInt8]
    private let secured: [UInt8]
    private let byName: [String: UInt8]

    package init(_ configuration: RelayService.Configuration) {
        func realms(of addresses: [SocketAddress]) -> [UInt8] {
            addresses.map { address in
                let index = configuration.realms.firstIndex { $0.listenAddresses.contains(address) }
                return index.map { UInt8($0 + 1) } ?? 0
            }
        }
        plain = realms(of: configuration.listenAddresses)
        secured = realms(of: configuration.tlsListenAddresses)
        var byName: [String: UInt8] = [:]
        for (index, realm) in configuration.realms.enumerated() {
            for name in realm.serverNames { byName[name] = UInt8(index + 1) }
        }
        self.byName = byName
    }

    package func realm(of transport: FiveTuple.Transport, listener: UInt8, serverName: String? = nil) -> UInt8 {
        if !byName.isEmpty, let named = serverName.flatMap({ byName[$0.lowercased()] }) { return named }
        return (transport == .udp || transport == .tcp ? plain : secured)[Int(listener)]
    }
}
