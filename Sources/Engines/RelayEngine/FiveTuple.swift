public import Base

/// What an allocation is known by: the client's transport address, the server's, and the transport between them
/// (RFC 8656 section 3.2).
public struct FiveTuple: Hashable, Sendable, BitwiseCopyable {
    public enum Transport: UInt8, CaseIterable, Sendable, BitwiseCopyable {
        case udp
        case tcp
        /// TLS over TCP.
        case tls
        /// DTLS over UDP.
        case dtls

        /// Whether messages are found in a stream of bytes (RFC 8656 section 12.5).
        @inlinable
        public var isStream: Bool { self == .tcp || self == .tls }
    }

    public let client: SocketAddress
    public let server: SocketAddress
    public let transport: Transport
    /// Which of the node's listeners has the server's address.
    public let listener: UInt8
    /// Which of the node's realms counts there, or for the name that the client has shown in TLS. Says nothing of who the client
    /// is: 5-tuples that differ in it are equal.
    public var realm: UInt8

    @inlinable
    public init(
        client: SocketAddress, server: SocketAddress, transport: Transport = .udp, listener: UInt8 = 0, realm: UInt8 = 0
    ) {
        self.client = client
        self.server = server
        self.transport = transport
        self.listener = listener
        self.realm = realm
    }

    /// The path to no client: nothing comes from there, and nothing arrives.
    var withoutClient: FiveTuple {
        FiveTuple(
            client: SocketAddress(.anyV4, port: 0), server: server, transport: transport, listener: listener,
            realm: realm)
    }

    @inlinable
    public static func == (left: FiveTuple, right: FiveTuple) -> Bool {
        left.client == right.client && left.server == right.server && left.transport == right.transport
            && left.listener == right.listener
    }

    /// Feeds the client's address alone: servers and transports are few, and equality tells them apart.
    @inlinable
    public func hash(into hasher: inout Hasher) {
        hasher.combine(client.ip.high)
        hasher.combine(client.ip.low)
        hasher.combine(client.port)
    }
}

/// An allocation's place in the engine's table, never reused: a late packet for a closed allocation finds nothing.
public struct AllocationID: Hashable, Sendable, BitwiseCopyable {
    public let index: UInt32
    public let generation: UInt32

    public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}
