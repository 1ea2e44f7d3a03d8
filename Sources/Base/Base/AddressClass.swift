/// What an address is for, told from the special-purpose registries (RFC 6890 and its successors). Whatever carries an
/// IPv4 address inside is judged by that address too, so that no encoding reaches what the plain form does not.
public enum AddressClass: Equatable, Sendable {
    /// Reachable across the Internet.
    case global
    /// 127.0.0.0/8 and ::1, in their own form.
    case loopback
    /// Everything else: private, shared, link-local, unique-local, multicast, documentation, reserved, and every
    /// IPv6 form whose inner IPv4 address is not global.
    case special

    public init(_ ip: IPAddress) {
        self = ip.family == .v4 ? Self.v4(UInt32(truncatingIfNeeded: ip.low)) : Self.v6(ip.high, ip.low)
    }

    private static let specialV4: [(prefix: UInt32, length: UInt32)] = [
        (0x0000_0000, 8),  // this network; 0.0.0.0 reaches loopback
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
        (0xE000_0000, 3),  // multicast, reserved, broadcast
    ]

    private static func v4(_ bits: UInt32) -> AddressClass {
        if bits >> 24 == 127 { return .loopback }
        return specialV4.contains { bits >> (32 - $0.length) == $0.prefix >> (32 - $0.length) } ? .special : .global
    }

    private static func v6(_ high: UInt64, _ low: UInt64) -> AddressClass {
        if high == 0, low == 1 { return .loopback }
        guard let inner = inner(high, low) else { return isGlobal(high) ? .global : .special }
        // ISATAP sits on any prefix, which must be global itself.
        let outer = high >> 48 == 0x0064 || isGlobal(high)
        return outer && v4(inner) == .global ? .global : .special
    }

    /// The IPv4 address that an IPv6 address of the Internet carries.
    public static func inner(_ ip: IPAddress) -> IPAddress? {
        ip.family == .v6 ? inner(ip.high, ip.low).map { IPAddress(v4: $0) } : nil
    }

    private static func inner(_ high: UInt64, _ low: UInt64) -> UInt32? {
        if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 { return UInt32(truncatingIfNeeded: low) }  // NAT64 (RFC 6052)
        if high >> 48 == 0x2002 { return UInt32(truncatingIfNeeded: high >> 16) }  // 6to4 (RFC 3056)
        if low >> 32 | 0x0200_0000 == 0x0200_5EFE { return UInt32(truncatingIfNeeded: low) }  // ISATAP (RFC 5214)
        return nil
    }

    /// Only 2000::/3 is given out for the Internet (so v4-mapped, v4-compatible, unique-local, link-local, multicast
    /// are out), less Teredo and other protocol assignments (2001::/23) and documentation.
    private static func isGlobal(_ high: UInt64) -> Bool {
        guard high >> 61 == 0b001 else { return false }
        if high >> 41 == 0x2001_0000 >> 9 { return false }
        return high >> 32 != 0x2001_0DB8 && high >> 44 != 0x3FFF0
    }
}
