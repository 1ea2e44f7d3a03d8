import Wire

/// What both ends of the uplink agree on.
package enum UplinkProtocol {
    /// ALPN (RFC 7301).
    package static let applicationProtocol = "skerry-uplink/1"

    /// The version that this release speaks best. A release accepts it and the one before, so that edges and centrals can be
    /// upgraded one by one.
    package static let version: UInt32 = 1
    package static let acceptedVersions: [UInt32] = [version]

    /// - Returns: the highest version that both speak.
    static func choose(_ offered: [UInt32], accepted: [UInt32]) -> UInt32? {
        accepted.filter { offered.contains($0) }.max()
    }
}
