import Base
import RelayEngine
import Runtime
import STUN

/// An allocation's relay sockets, one for each family; or what a TCP allocation has instead. They receive from before the
/// allocation has its id.
final class RelaySockets {
    var v4: UDPSocket? { didSet { unmanagedV4 = v4.map { Unmanaged.passUnretained($0) } } }
    var v6: UDPSocket? { didSet { unmanagedV6 = v6.map { Unmanaged.passUnretained($0) } } }
    private var unmanagedV4: Unmanaged<UDPSocket>?
    private var unmanagedV6: Unmanaged<UDPSocket>?
    /// Of a TCP allocation (RFC 6062).
    var endpoint: TCPEndpoint?
    /// By the peer, as clients know it.
    var connections: [SocketAddress: PeerConnection] = [:]
    var id: AllocationID?

    subscript(_ family: IPAddress.Family) -> UDPSocket? {
        @inline(__always) get { family == .v4 ? v4 : v6 }
        set { if family == .v4 { v4 = newValue } else { v6 = newValue } }
    }

    /// Sends to a peer from the socket of its family, if there is one.
    @inline(__always)
    func send(_ payload: UnsafeRawBufferPointer, to peer: SocketAddress, dontFragment: Bool) {
        (peer.ip.family == .v4 ? unmanagedV4 : unmanagedV6)?._withUnsafeGuaranteedRef {
            _ = $0.send(payload, to: peer, dontFragment: dontFragment)
        }
    }

    var ports: AllocatedPorts {
        if let address = endpoint?.localAddress {
            return address.ip.family == .v4 ? AllocatedPorts(v4: address.port) : AllocatedPorts(v6: address.port)
        }
        return AllocatedPorts(v4: v4?.localAddress.port, v6: v6?.localAddress.port)
    }

    /// Closes what is open.
    ///
    /// - Returns: datagrams that came while a queue was full.
    func close() -> UInt64 {
        endpoint?.close()
        return [IPAddress.Family.v4, .v6].reduce(0) { $0 + close($1) }
    }

    func close(_ family: IPAddress.Family) -> UInt64 {
        guard let socket = self[family] else { return 0 }
        let overflows = UInt64(socket.overflowCount)
        socket.close()
        self[family] = nil
        return overflows
    }
}

/// Opens relay sockets at random ports of the configured range, on one event loop.
struct RelayPortOpener {
    /// A port in use costs another try; where so many fail the range is as good as full.
    private static let maxTries = 64

    let policy: PeerPolicy
    let ports: ClosedRange<UInt16>
    let bufferBytes: Int
    let loop: EventLoop
    let statistics: DatagramStatistics

    /// - Returns: nil when no port was found.
    func open(_ family: IPAddress.Family, even: Bool) -> UDPSocket? {
        for _ in 0..<Self.maxTries {
            let port = UInt16.random(in: ports)
            if even, port % 2 != 0 { continue }
            if let socket = open(family, port) { return socket }
        }
        return nil
    }

    /// A socket at an even port, and one at the next higher, which does not receive yet.
    func openPair(_ family: IPAddress.Family) -> (UDPSocket, UDPSocket)? {
        for _ in 0..<Self.maxTries {
            let port = UInt16.random(in: ports) & ~1
            guard port >= ports.lowerBound, port < ports.upperBound, let first = open(family, port) else { continue }
            if let second = open(family, port + 1) { return (first, second) }
            first.close()
        }
        return nil
    }

    private func open(_ family: IPAddress.Family, _ port: UInt16) -> UDPSocket? {
        guard !policy.isOwnPort(port), let address = policy.addresses[family] else { return nil }
        return try? UDPSocket(
            bind: SocketAddress(address.bound, port: port), on: loop, bufferBytes: bufferBytes, statistics: statistics)
    }

    /// For a TCP allocation.
    func openEndpoint(_ family: IPAddress.Family) -> TCPEndpoint? {
        guard let address = policy.addresses[family] else { return nil }
        for _ in 0..<Self.maxTries {
            let port = UInt16.random(in: ports)
            if policy.isOwnPort(port) { continue }
            let local = SocketAddress(address.bound, port: port)
            if let endpoint = try? TCPEndpoint(bind: local, on: loop, backlog: 16) { return endpoint }
        }
        return nil
    }
}
