import Base

/// Who a node is: the URI `skerry://<cluster>/<region>/<name>` of its certificate.
package struct NodeIdentity: Hashable, Sendable, CustomStringConvertible {
    /// The region in the certificates of centrals. No edge can be enrolled into it, so that none can pass for a central.
    package static let centralRegion = "central"

    package let cluster: String
    package let region: String
    package let name: String

    /// Returns nil unless every part is `[A-Za-z0-9._-]{1,64}`.
    package init?(cluster: some StringProtocol, region: some StringProtocol, name: some StringProtocol) {
        guard isIdentityName(cluster), isIdentityName(region), isIdentityName(name) else { return nil }
        self.cluster = String(cluster)
        self.region = String(region)
        self.name = String(name)
    }

    package init?(uri: some StringProtocol) {
        guard uri.utf8.starts(with: Self.scheme.utf8) else { return nil }
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        self.init(cluster: parts[0], region: parts[1], name: parts[2])
    }

    private static let scheme = "skerry://"

    package var uri: String { "\(Self.scheme)\(cluster)/\(region)/\(name)" }
    package var isCentral: Bool { region == Self.centralRegion }
    package var description: String { uri }

    /// What the URIs of all nodes of a cluster begin with.
    package static func uriPrefix(cluster: String) -> String { "\(scheme)\(cluster)/" }
    /// What the URIs of the centrals of a cluster begin with.
    package static func centralURIPrefix(cluster: String) -> String { "\(scheme)\(cluster)/\(centralRegion)/" }
}
