public import Base
import Glibc

/// Names to addresses by the system's resolver, which blocks and so runs on a pool.
public struct HostResolver: Sendable {
    private let pool: BlockingPool

    public init(pool: BlockingPool) { self.pool = pool }

    /// - Parameter host: a name, or an IP address, which is returned as it is.
    /// - Throws: `EdgeError` `.unavailable` when there is no address.
    public func resolve(_ host: String, port: UInt16) async throws -> [SocketAddress] {
        if let ip = IPAddress(host) { return [SocketAddress(ip, port: port)] }
        return try await pool.run { try Self.lookUp(host, port) }
    }

    private static func lookUp(_ host: String, _ port: UInt16) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard status == 0 else {
            throw EdgeError(
                .unavailable, "\(host) has no address: \(String(cString: gai_strerror(status)))", side: .upstream,
                isRetryable: true)
        }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen)))
            }
            if let address = SocketAddress(storage) { addresses.append(SocketAddress(address.ip, port: port)) }
            next = entry.ai_next
        }
        return addresses
    }
}
