import Base
import Glibc

/// The addresses of this host's interfaces, as they are when asked.
enum HostAddresses {
    /// - Returns: nil when the system does not say, as without a descriptor to spare.
    static func all() -> [IPAddress]? {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return nil }
        defer { freeifaddrs(first) }
        var addresses: [IPAddress] = []
        var current = first
        while let interface = current {
            if let address = interface.pointee.ifa_addr, let ip = read(address) { addresses.append(ip) }
            current = interface.pointee.ifa_next
        }
        return addresses
    }

    private static func read(_ address: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                IPAddress(v4: UInt32(bigEndian: $0.pointee.sin_addr.s_addr))
            }
        case AF_INET6:
            address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                withUnsafeBytes(of: address.pointee.sin6_addr) {
                    IPAddress(
                        v6High: UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                        low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
                }
            }
        default: nil
        }
    }

    /// The first address of a family that is neither loopback nor link-local; loopback where there is none.
    static func preferred(_ family: IPAddress.Family, of addresses: [IPAddress]) -> IPAddress {
        let usable = addresses.first { ip in
            guard ip.family == family else { return false }
            return family == .v4
                ? ip.low >> 24 != 127 && ip.low >> 16 != 0xA9FE
                : ip != .loopbackV6 && ip.high >> 54 != 0xFE80 >> 6
        }
        return usable ?? (family == .v4 ? .loopbackV4 : .loopbackV6)
    }
}
