public import Base
import Synchronization

/// The addresses of this host, which come and go. Seen by all event loops; asked for requests, never for packets.
public final class OwnAddresses: Sendable {
    private let addresses: Mutex<Set<IPAddress>>

    public init(_ addresses: [IPAddress] = []) {
        self.addresses = Mutex(Set(addresses))
    }

    public func replace(with addresses: [IPAddress]) {
        self.addresses.withLock { $0 = Set(addresses) }
    }

    func contains(_ ip: IPAddress) -> Bool {
        addresses.withLock { $0.contains(ip) }
    }
}
