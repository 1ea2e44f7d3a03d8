package import Base
package import RelayEngine

extension RelayService {
    package struct Configuration: Equatable, Sendable {
        package static let maxListeners = 16

        /// Where STUN and TURN are answered over UDP and TCP.
        package var listenAddresses = [SocketAddress(.anyV4, port: 3478)]
        /// Where STUN and TURN are answered over TLS and, on the same port of UDP, over DTLS. At most 16 addresses.
        package var tlsListenAddresses = [SocketAddress(.anyV4, port: 5349)]
        /// Connections of clients over TCP and TLS, beyond which new ones are closed at once; and as many associations over DTLS
        /// on each event loop.
        package var maxConnections = 20_000
        /// Of those, connections of a source prefix (/24, /56) that have not authenticated.
        package var maxUnauthenticatedConnectionsPerPrefix = 256
        /// From the beginning of a handshake to its end.
        package var handshakeTimeoutMs: Int64 = 10_000
        /// How long a connection may be without an allocation: from its beginning, and after its last one ended.
        package var unauthenticatedTimeoutMs: Int64 = 30_000
        /// What may wait for a client that reads too slowly. Beyond, what peers send it is dropped; an answer ends the connection.
        package var connectionQueueBytes = 256 << 10
        /// Connections that the kernel keeps for each event loop until they are accepted, as far as net.core.somaxconn allows.
        package var listenBacklog = 1024
        /// Relay sockets are bound to these, one of a family. Default: the address of the family's first listener; where that is
        /// every address, the first of the host that is not loopback.
        package var relayAddresses: [IPAddress] = []
        /// What clients are told instead, one of a family, where a 1:1 NAT stands before it.
        package var externalAddresses: [IPAddress] = []
        /// Host name or address in the URLs for clients. Default: the external or the relay address.
        package var publicHost: String?
        /// Relayed transport addresses have random ports of this range; those in use are skipped.
        package var firstRelayPort: UInt16 = 49152
        package var lastRelayPort: UInt16 = 65535
        /// At most 40 bytes.
        package var realm = "skerry"
        /// The secret of the TURN REST credentials, which an operator's backend may share. At least 16 bytes.
        package var sharedSecret: [UInt8] = []
        /// Secrets that count too, so that one can take another's place.
        package var furtherSharedSecrets: [[UInt8]] = []
        /// Users whom the relay knows by itself.
        package var users: [StaticUser] = []
        /// Whose access tokens count (RFC 7635). Default: nobody's.
        package var accessTokens: AccessTokenRules?
        /// Answers of the operator's server about users that each event loop remembers.
        package var maxAuthorizations = 4096
        /// Revocations that are remembered; those of the longest ago go first.
        package var maxRevocations = 4096
        /// Realms besides, for the clients of some listeners or names; at most 64.
        package var realms: [Realm] = []
        /// Who is asked about users whom nothing here knows.
        package var authorizationHook = AuthorizationHook.Configuration()
        /// Life of the credentials that are handed out. An allocation may outlive those that made it.
        package var credentialLifetimeSeconds: Int64 = 3600
        /// Life of a nonce; a client that shows an older one is asked again (438).
        package var nonceLifetimeMs = 3_600_000
        /// Allocations of the node, beyond which new ones are refused (508).
        package var maxAllocations = 10_000
        /// Allocations of a tenant, beyond which new ones are refused (486).
        package var maxAllocationsPerTenant = 10_000
        /// Allocations of a user, over all its devices, beyond which new ones are refused (486).
        package var maxAllocationsPerUser = 64
        /// Application bytes that the node relays a second, both ways together; what is over is dropped. 0: no limit.
        package var maxBytesPerSecond = 0
        /// The same for each tenant.
        package var maxBytesPerSecondPerTenant = 0
        /// The same for each user.
        package var maxBytesPerSecondPerUser = 0
        /// Ports that clients may have reserved for a later allocation (EVEN-PORT), each for 30 s; 508 beyond.
        package var maxReservedPorts = 256
        /// Life of an allocation whose client asks for no longer one.
        package var defaultLifetimeSeconds = 600
        /// The longest life that a client may ask for.
        package var maxLifetimeSeconds = 3600
        /// Peer addresses that an allocation may hear at a time (508 beyond).
        package var maxPermissionsPerAllocation = 64
        /// Channels of an allocation (508 beyond).
        package var maxChannelsPerAllocation = 64
        /// Connections with peers that an allocation over TCP may have (RFC 6062; 508 beyond).
        package var maxConnectionsPerAllocation = 64
        /// Channel numbers from 0x5000 to 0x7FFF may be bound, which RFC 8656 took away from RFC 5766: for older clients,
        /// among them coturn's test client before 4.16.
        package var allowRFC5766ChannelNumbers = false
        /// Clients over TCP and TLS may have TCP allocations (RFC 6062); else 442.
        package var allowPeerConnections = true
        /// Clients may take their allocations to other addresses (RFC 8016).
        package var allowMobility = true
        /// Where new clients are sent while the node drains, one of a family (300 Try Alternate); without one they get 508.
        package var alternateServers: [SocketAddress] = []
        /// The name in the certificates of these servers.
        package var alternateDomain: String?
        /// Clients may find out how NATs between them and the node behave (RFC 5780). Needs listen addresses of two IP addresses with
        /// the same two ports each. Binding answers are larger then: 68 bytes, 116 for IPv6.
        package var natDiscovery = false
        /// Answers a second to a source prefix (/24, /56) that has not authenticated, on each event loop; silence beyond.
        package var unauthenticatedAnswersPerSecond = 100
        /// Answers at once to such a prefix.
        package var unauthenticatedAnswersBurst = 500
        /// Networks whose addresses are peers although the default refuses them, as in 10.1.0.0/16. Never our own listeners.
        package var allowPeers: [IPNetwork] = []
        /// Networks whose addresses are no peers, whatever else would allow them.
        package var denyPeers: [IPNetwork] = []
        /// Prefixes under which the network translates IPv6 to IPv4 (NAT64), besides 64:ff9b::/96: what they carry is judged.
        package var nat64Prefixes: [IPNetwork] = []
        /// For development: clients may be relayed to loopback addresses.
        package var allowLoopbackPeers = false
        /// Ports of other processes of the deployment on this host, which are never peers either.
        package var refusedPeerPorts: [UInt16] = []
        /// Kernel queue of a listener.
        package var listenerBufferBytes = 4 << 20
        /// Kernel queue of a relay socket.
        package var relayBufferBytes = 256 << 10
        /// Log records of allocations that are opened and closed; what goes beyond is counted alone. 0 for none.
        package var maxAuditRecordsPerSecond = 100
        /// How long allocations may go on after the process was asked to end.
        package var drainTimeoutMs: Int64 = 10_000

        package init() {}
    }
}
