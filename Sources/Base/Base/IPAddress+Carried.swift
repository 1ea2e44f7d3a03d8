extension IPAddress {
    /// The IPv4 addresses that an IPv6 address carries and that what is sent to it may arrive at: none for most, two for
    /// Teredo and where forms overlap.
    ///
    /// IPv4-mapped and IPv4-compatible (RFC 4291 section 2.5.5), IPv4-translated (RFC 2765), NAT64 under the well-known
    /// prefix (RFC 6052), the local-use prefix (RFC 8215) and the given ones, 6to4 (RFC 3056), Teredo (RFC 4380), ISATAP
    /// (RFC 5214).
    ///
    /// - Parameter prefixes: of the network's own NAT64 translators.
    public func carriedV4(translatedBy prefixes: [IPNetwork] = []) -> [IPAddress] {
        guard family == .v6 else { return [] }
        var carried: [IPAddress] = []
        func add(_ bits: UInt64) { carried.append(IPAddress(v4: UInt32(truncatingIfNeeded: bits))) }

        if high == 0 {
            switch low >> 32 {
            // Below are :: and ::1, which are themselves.
            case 0 where low > 1: add(low)
            case 0xFFFF, 0xFFFF_0000: add(low)
            default: break
            }
        }
        if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 { add(low) }
        if high >> 16 == 0x0064_FF9B_0001 { add(low) }
        for prefix in prefixes where prefix.contains(self) { add(translated(prefixLength: prefix.prefixLength)) }
        if high >> 48 == 0x2002 { add(high >> 16) }
        if high >> 32 == 0x2001_0000 {
            add(high)  // the server
            add(~low)  // the client's mapped address
        }
        if low >> 32 | 0x0200_0000 == 0x0200_5EFE { add(low) }
        return carried
    }

    /// The IPv4 bits behind a NAT64 prefix, around the octet that is left out of them (RFC 6052 section 2.2).
    private func translated(prefixLength: Int) -> UInt64 {
        if prefixLength == 96 { return low }
        return (high << UInt64(prefixLength) | (low << 8) >> UInt64(64 - prefixLength)) >> 32
    }
}

extension IPNetwork {
    /// Whether NAT64 may translate under it (RFC 6052 section 2.2).
    public var isTranslationPrefix: Bool {
        address.family == .v6 && [32, 40, 48, 56, 64, 96].contains(prefixLength)
    }
}
