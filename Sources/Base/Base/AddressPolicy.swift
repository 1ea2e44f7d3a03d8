/// A network in the sense of CIDR: the addresses that begin with some bits.
public struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    /// Bits that all its addresses share.
    public let prefixLength: Int

    /// Returns nil for a length that the family does not have.
    public init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...(address.family == .v4 ? 32 : 128)).contains(prefixLength) else { return nil }
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Parses `10.0.0.0/8`, `fd00::/8`, or an address alone.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefixLength: address.family == .v4 ? 32 : 128)
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
            let length = Int(parts[1])
        else { return nil }
        self.init(address, prefixLength: length)
    }

    public func contains(_ ip: IPAddress) -> Bool {
        guard ip.family == address.family else { return false }
        if ip.family == .v4 { return Self.agree(ip.low << 32, address.low << 32, prefixLength) }
        return Self.agree(ip.high, address.high, min(prefixLength, 64))
            && Self.agree(ip.low, address.low, max(0, prefixLength - 64))
    }

    private static func agree(_ left: UInt64, _ right: UInt64, _ bits: Int) -> Bool {
        bits == 0 || (left ^ right) >> UInt64(64 - bits) == 0
    }

    public var description: String { "\(address)/\(prefixLength)" }
}

/// Which addresses this side connects to. Whoever lets others choose where it connects must not be led to what only this host
/// or its network reaches.
public struct AddressPolicy: Equatable, Sendable {
    private let isOpen: Bool
    private let allowed: [IPNetwork]

    /// Every address: for peers that the operator named.
    public static let any = AddressPolicy(isOpen: true, allowed: [])

    /// Addresses of the Internet (`AddressClass.global`), and these networks.
    public static func internet(and allowed: [IPNetwork] = []) -> AddressPolicy {
        AddressPolicy(isOpen: false, allowed: allowed)
    }

    private init(isOpen: Bool, allowed: [IPNetwork]) {
        self.isOpen = isOpen
        self.allowed = allowed
    }

    /// A v4-mapped address is judged as the IPv4 address that it stands for.
    public func permits(_ ip: IPAddress) -> Bool {
        let ip = ip.unmapped
        return isOpen || allowed.contains { $0.contains(ip) } || AddressClass(ip) == .global
    }
}
