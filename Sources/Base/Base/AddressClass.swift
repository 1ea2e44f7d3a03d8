/// What an address is for, told from the special-purpose registries (RFC 6890 and its successors). Whatever carries an
/// IPv4 address inside is judged by that address too, so that no encoding reaches what the plain form does not.
public enum AddressClass: Equatable, Sendable {
    /// Reachable across the Internet.
    case global
    /// 127.0.0.0/8 and ::1, in their own form.
    case loopback
    /// Names no single host: unspecified (which reaches this host on many systems), multicast, broadcast.
    case notUnicast
    /// Everything else: private, shared, link-local, unique-local, documentation, reserved, and every IPv6 form whose
    /// inner IPv4 address is not global.
    case special

    /// - Parameter prefixes: of the network's own NAT64 translators (`isTranslationPrefix`); the well-known one is known.
    public init(_ ip: IPAddress, translatedBy prefixes: [IPNetwork] = []) {
        if ip.family == .v4 {
            self = Self.v4(UInt32(truncatingIfNeeded: ip.low))
        } else if ip == .loopbackV6 {
            self = .loopback
        } else if ip.isUnspecified || ip.high >> 56 == 0xFF {
            self = .notUnicast
        } else {
            let isGlobal =
                Self.isRouted(ip, translatedBy: prefixes)
                && ip.carriedV4(translatedBy: prefixes).allSatisfy { AddressClass($0) == .global }
            self = isGlobal ? .global : .special
        }
    }

    private static let specialV4: [(prefix: UInt32, length: UInt32)] = [
        (0x0000_0000, 8),  // this network
        (0x0A00_0000, 8),  // private
        (0x6440_0000, 10),  // shared (RFC 6598)
        (0xA9FE_0000, 16),  // link-local, cloud metadata services
        (0xAC10_0000, 12),  // private
        (0xC000_0000, 24),  // protocol assignments
        (0xC000_0200, 24),  // documentation
        (0xC058_6300, 24),  // 6to4 relay anycast
        (0xC0A8_0000, 16),  // private
        (0xC612_0000, 15),  // benchmarks
        (0xC633_6400, 24),  // documentation
        (0xCB00_7100, 24),  // documentation
        (0xF000_0000, 4),  // reserved
    ]

    private static func v4(_ bits: UInt32) -> AddressClass {
        if bits >> 24 == 127 { return .loopback }
        if bits == 0 || bits >> 28 == 0xE || bits == .max { return .notUnicast }
        return specialV4.contains { bits >> (32 - $0.length) == $0.prefix >> (32 - $0.length) } ? .special : .global
    }

    /// Whether an IPv6 address is of the Internet by its prefix alone, whatever it carries.
    ///
    /// Only 2000::/3 is given out for the Internet (so v4-mapped, v4-compatible, unique-local, link-local, multicast are
    /// out), less Teredo and other protocol assignments (2001::/23) and documentation; and what is translated.
    public static func isRouted(_ ip: IPAddress, translatedBy prefixes: [IPNetwork] = []) -> Bool {
        let high = ip.high
        if high == 0x0064_FF9B_0000_0000, ip.low >> 32 == 0 { return true }
        if prefixes.contains(where: { $0.contains(ip) }) { return true }
        guard ip.family == .v6, high >> 61 == 0b001, high >> 41 != 0x2001_0000 >> 9 else { return false }
        return high >> 32 != 0x2001_0DB8 && high >> 44 != 0x3FFF0
    }
}
