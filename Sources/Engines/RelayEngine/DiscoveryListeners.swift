public import Base

/// The listeners by which clients find out how NATs between them and the node behave (RFC 5780): of an address family two
/// addresses, each with the same two ports.
public struct DiscoveryListeners: Equatable, Sendable {
    /// Of each listener that belongs to such a group: those that differ from it.
    private let alternates: [Alternates?]

    struct Alternates: Equatable, Sendable, BitwiseCopyable {
        let ip: Listener
        let port: Listener
        let both: Listener
    }

    public struct Listener: Equatable, Sendable, BitwiseCopyable {
        public let index: UInt8
        public let address: SocketAddress
    }

    /// - Parameter addresses: of all listeners in their order.
    /// - Returns: nil where no address family has four that fit.
    public init?(among addresses: [SocketAddress]) {
        let listeners = addresses.prefix(Int(UInt8.max)).enumerated().map {
            Listener(index: UInt8($0.offset), address: $0.element)
        }
        alternates = listeners.map { one in
            let others = listeners.filter {
                $0.address.ip.family == one.address.ip.family && !$0.address.ip.isUnspecified
            }
            guard !one.address.ip.isUnspecified else { return nil }
            let corner = others.first { both in
                both.address.ip != one.address.ip && both.address.port != one.address.port
                    && others.contains { $0.address == SocketAddress(both.address.ip, port: one.address.port) }
                    && others.contains { $0.address == SocketAddress(one.address.ip, port: both.address.port) }
            }
            guard let both = corner,
                let ip = others.first(where: { $0.address == SocketAddress(both.address.ip, port: one.address.port) }),
                let port = others.first(where: { $0.address == SocketAddress(one.address.ip, port: both.address.port) })
            else { return nil }
            return Alternates(ip: ip, port: port, both: both)
        }
        guard alternates.contains(where: { $0 != nil }) else { return nil }
    }

    subscript(listener: UInt8) -> Alternates? {
        Int(listener) < alternates.count ? alternates[Int(listener)] : nil
    }
}
