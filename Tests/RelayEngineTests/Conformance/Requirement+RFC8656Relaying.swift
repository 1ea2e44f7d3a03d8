import Base
import RelayEngine
import STUN

extension Requirement {
    /// Traversal Using Relays around NAT (TURN): permissions, channels, and what they let through.
    static let rfc8656Relaying: [Requirement] = permissions + indications + channels

    private static let peer = RelayHarness.peer
    private static let other = ConformanceBench.otherPeer

    // MARK: - Permissions

    private static let permissions: [Requirement] = [
        Requirement("RFC 8656 9", "a permission lasts 300 seconds") { bench in
            _ = bench.allocate()
            _ = bench.permit(peer)
            bench.pass(seconds: 299)
            guard bench.sends(), bench.hears() != .none else { return false }
            bench.pass(seconds: 1)
            return !bench.sends() && bench.hears() == .none
        },
        Requirement("RFC 8656 9", "CreatePermission makes it last 300 seconds more") { bench in
            _ = bench.allocate()
            _ = bench.permit(peer)
            bench.pass(seconds: 200)
            _ = bench.permit(peer)
            bench.pass(seconds: 299)
            return bench.sends()
        },
        Requirement("RFC 8656 9", "what is sent and received does not") { bench in
            _ = bench.allocate()
            _ = bench.permit(peer)
            bench.pass(seconds: 200)
            guard bench.sends(), bench.hears() != .none else { return false }
            bench.pass(seconds: 100)
            return !bench.sends() && bench.hears() == .none
        },
        Requirement("RFC 8656 9", "a permission is for an IP address, whatever the port") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            let sameHost = SocketAddress(peer.ip, port: 1)
            return $0.sends(to: sameHost) && $0.hears(sameHost) != .none && !$0.sends(to: other)
        },
        Requirement("RFC 8656 10.2", "without XOR-PEER-ADDRESS 400") {
            _ = $0.allocate()
            return $0.ask(.createPermission) == 400
        },
        Requirement("RFC 8656 10.2", "an XOR-PEER-ADDRESS that is none 400") {
            _ = $0.allocate()
            return $0.ask(.createPermission) { $0.append(.xorPeerAddress, bytes: [0, 1, 0, 0]) } == 400
        },
        Requirement("RFC 8656 10.2", "a peer of a family that the allocation has not 443") {
            _ = $0.allocate()
            return $0.permit(ConformanceBench.peerV6) == 443
        },
        Requirement("RFC 8656 10.2", "a peer that the server does not allow 403") {
            _ = $0.allocate()
            return $0.permit(SocketAddress("127.0.0.1:53")!) == 403
        },
        Requirement("RFC 8656 10.2", "no room for another permission 508") { bench in
            bench.configure { $0.maxPermissionsPerAllocation = 1 }
            _ = bench.allocate()
            return bench.permit(peer) == .success && bench.permit(other) == 508 && bench.permit(peer) == .success
        },
        Requirement("RFC 8656 10.2", "several peers in one request are all permitted") {
            _ = $0.allocate()
            return $0.permit(peer, other) == .success && $0.sends() && $0.sends(to: other)
        },
        Requirement("RFC 8656 10.2", "or, when one of them cannot be, none is") {
            _ = $0.allocate()
            return $0.permit(peer, SocketAddress("127.0.0.1:53")!) == 403 && !$0.sends()
                && $0.permit(peer, ConformanceBench.peerV6) == 443 && !$0.sends()
        },
        Requirement("RFC 8656 10.2", "both families of a dual allocation may be permitted at once") {
            _ = $0.allocateBoth()
            return $0.permit(peer, ConformanceBench.peerV6) == .success && $0.sends()
                && $0.sends(to: ConformanceBench.peerV6)
        },
    ]

    // MARK: - Send and Data indications

    private static let indications: [Requirement] = [
        Requirement("RFC 8656 11.2", "without an allocation a Send indication is discarded") { !$0.sends() },
        Requirement("RFC 8656 11.2", "a Send indication without a permission is discarded") {
            _ = $0.allocate()
            return !$0.sends()
        },
        Requirement("RFC 8656 11.2", "a Send indication makes and keeps no permission") {
            _ = $0.allocate()
            return !$0.sends() && $0.hears() == .none
        },
        Requirement("RFC 8656 11.2", "a Send indication without XOR-PEER-ADDRESS is discarded") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            return $0.action($0.unsigned(.send, .indication) { $0.append(.data, bytes: [1]) }) == .none
        },
        Requirement("RFC 8656 11.2", "a Send indication without DATA is discarded") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            return $0.action($0.unsigned(.send, .indication) { $0.append(.xorPeerAddress, xorAddress: peer) }) == .none
        },
        Requirement("RFC 8656 11.2", "DATA may be empty: a datagram without payload") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            return $0.sends([])
        },
        Requirement("RFC 8656 11.2", "DATA is sent as it is, without its padding") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            return (1...9).allSatisfy { [bench = $0] in bench.sends(Array(repeating: 7, count: $0)) }
        },
        Requirement("RFC 8656 11.2", "DONT-FRAGMENT is handed to the socket") { bench in
            _ = bench.allocate()
            _ = bench.permit(peer)
            let indication = bench.unsigned(.send, .indication) {
                $0.append(.xorPeerAddress, xorAddress: peer)
                $0.append(.dontFragment, bytes: [])
                $0.append(.data, bytes: [1])
            }
            guard case .relay(_, _, _, let dontFragment) = bench.action(indication) else { return false }
            return dontFragment
        },
        Requirement("RFC 8656 11.3", "a datagram of a peer without permission is discarded") {
            _ = $0.allocate()
            _ = $0.permit(other)
            return $0.hears() == .none
        },
        Requirement("RFC 8656 11.3", "a Data indication names the peer's transport address") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            guard case .dataIndication(let named, _, let tuple) = $0.hears() else { return false }
            return named == peer && tuple.client == $0.client.address
        },
        Requirement("RFC 8656 11.3", "each Data indication has a transaction id of its own") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            guard case .dataIndication(_, let first, _) = $0.hears(),
                case .dataIndication(_, let second, _) = $0.hears()
            else { return false }
            return first != second
        },
        Requirement("RFC 8656 11.4", "a client's Data indication is discarded") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            let indication = $0.unsigned(.data, .indication) {
                $0.append(.xorPeerAddress, xorAddress: peer)
                $0.append(.data, bytes: [1])
            }
            return $0.action(indication) == .none
        },
    ]

    // MARK: - Channels

    private static let channels: [Requirement] = [
        Requirement("RFC 8656 12.2", "without CHANNEL-NUMBER 400") {
            _ = $0.allocate()
            return $0.ask(.channelBind) { $0.append(.xorPeerAddress, xorAddress: peer) } == 400
        },
        Requirement("RFC 8656 12.2", "without XOR-PEER-ADDRESS 400") {
            _ = $0.allocate()
            return $0.ask(.channelBind) { $0.append(channelNumber: 0x4000) } == 400
        },
        Requirement("RFC 8656 12.2", "a number outside 0x4000 to 0x4FFF 400") { bench in
            _ = bench.allocate()
            return [UInt16(0), 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF].allSatisfy { bench.bind($0, to: peer) == 400 }
        },
        Requirement("RFC 8656 12.2", "the first and the last number may be bound") {
            _ = $0.allocate()
            return $0.bind(0x4000, to: peer) == .success && $0.bind(0x4FFF, to: other) == .success
        },
        Requirement("RFC 8656 12.2", "a number that is bound to another transport address 400") {
            _ = $0.allocate()
            return $0.bind(0x4000, to: peer) == .success && $0.bind(0x4000, to: other) == 400
                && $0.bind(0x4000, to: SocketAddress(peer.ip, port: 1)) == 400
        },
        Requirement("RFC 8656 12.2", "a transport address that has another number 400") {
            _ = $0.allocate()
            return $0.bind(0x4000, to: peer) == .success && $0.bind(0x4001, to: peer) == 400
        },
        Requirement("RFC 8656 12.2", "a peer of a family that the allocation has not 443") {
            _ = $0.allocate()
            return $0.bind(0x4000, to: ConformanceBench.peerV6) == 443
        },
        Requirement("RFC 8656 12.2", "a peer that the server does not allow 403") {
            _ = $0.allocate()
            return $0.bind(0x4000, to: SocketAddress("10.0.0.1:53")!) == 403
        },
        Requirement("RFC 8656 12.2", "no room for another channel 508") { bench in
            bench.configure { $0.maxChannelsPerAllocation = 1 }
            _ = bench.allocate()
            return bench.bind(0x4000, to: peer) == .success && bench.bind(0x4001, to: other) == 508
        },
        Requirement("RFC 8656 12.2", "binding makes or renews the permission for the peer's IP address") { bench in
            _ = bench.allocate()
            _ = bench.bind(0x4000, to: peer)
            bench.pass(seconds: 200)
            _ = bench.bind(0x4000, to: peer)
            bench.pass(seconds: 299)
            return bench.sends(to: SocketAddress(peer.ip, port: 1))
        },
        Requirement("RFC 8656 12", "a binding lasts ten minutes") { bench in
            _ = bench.allocate { $0.append(.lifetime, number: 3600) }
            _ = bench.bind(0x4000, to: peer)
            bench.pass(seconds: 599)
            guard bench.sendsOnChannel(0x4000) else { return false }
            bench.pass(seconds: 1)
            return !bench.sendsOnChannel(0x4000)
        },
        Requirement("RFC 8656 12", "another ChannelBind makes it last ten minutes more") { bench in
            _ = bench.allocate { $0.append(.lifetime, number: 3600) }
            _ = bench.bind(0x4000, to: peer)
            bench.pass(seconds: 500)
            guard bench.bind(0x4000, to: peer) == .success else { return false }
            bench.pass(seconds: 599)
            return bench.sendsOnChannel(0x4000)
        },
        Requirement("RFC 8656 12.4", "ChannelData of an unbound channel is discarded") {
            _ = $0.allocate()
            _ = $0.permit(peer)
            return !$0.sendsOnChannel(0x4000)
        },
        Requirement("RFC 8656 12.4", "ChannelData with a number beyond 0x4FFF is discarded") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            return !$0.sendsOnChannel(0x5000) && !$0.sendsOnChannel(0xFFFF)
        },
        Requirement("RFC 8656 12.6", "ChannelData whose length is more than there is is discarded") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            return $0.action([0x40, 0x00, 0, 9, 1, 2]) == .none
        },
        Requirement("RFC 8656 12.5", "over UDP ChannelData may be padded or not") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            return $0.sendsOnChannel(0x4000, [1]) && $0.sendsOnChannel(0x4000, [1], padding: 3)
        },
        Requirement("RFC 8656 12.6", "ChannelData may be empty: a datagram without payload") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            return $0.sendsOnChannel(0x4000, [])
        },
        Requirement("RFC 8656 12.6", "a channel leads to its peer's transport address") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            _ = $0.bind(0x4001, to: other)
            return $0.sendsOnChannel(0x4000) && $0.sendsOnChannel(0x4001, to: other)
        },
        Requirement("RFC 8656 12.7", "what a peer with a channel sends goes there") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            return $0.hears() == .channelData(0x4000, to: RelayHarness.tuple($0.client.address))
        },
        Requirement("RFC 8656 12.7", "what the same host sends from another port does not") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            guard case .dataIndication = $0.hears(SocketAddress(peer.ip, port: 1)) else { return false }
            return true
        },
        Requirement("RFC 8656 12.7", "a channel without permission lets nothing in") { bench in
            _ = bench.allocate { $0.append(.lifetime, number: 3600) }
            _ = bench.bind(0x4000, to: peer)
            bench.pass(seconds: 300)
            return bench.hears() == .none
        },
        Requirement("RFC 8656 12", "a peer with a channel may be sent to by Send indications, too") {
            _ = $0.allocate()
            _ = $0.bind(0x4000, to: peer)
            return $0.sends()
        },
    ]
}
