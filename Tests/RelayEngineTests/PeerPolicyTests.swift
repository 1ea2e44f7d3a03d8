import Base
import STUN
import Testing

@testable import RelayEngine

@Suite struct PeerPolicyTests {
    /// Ways to name an address that a client must not reach through us.
    static let refused = [
        // This host and this network.
        "127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0.0.0.1", "0.1.2.3", "0.255.255.255", "::1", "::",
        // Private, shared, link-local.
        "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
        "100.64.0.1", "100.127.255.255", "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::5efe:8.8.8.8", "febf::1",
        "fc00::1", "fd00::1", "fdff:ffff::1", "fec0::1",
        // Multicast, broadcast, reserved.
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1",
        // Documentation, benchmarks, protocol assignments.
        "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "192.88.99.1",
        "2001:db8::1", "3fff::1", "3fff:fff::1", "2001:2::1", "2001:10::1", "100::1", "5f00::1",
        // IPv4 inside IPv6: mapped, compatible, translated.
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0.0.0.0", "::ffff:169.254.169.254",
        "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "::fffe:127.0.0.1",
        // NAT64.
        "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::192.168.1.1", "64:ff9b::169.254.169.254", "64:ff9b::",
        "64:ff9b::224.0.0.1", "64:ff9b:1::8.8.8.8", "64:ff9b:1:fffe::10.0.0.1", "64:ff9b:0:1::8.8.8.8",
        // 6to4.
        "2002:7f00:1::", "2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::", "2002:e000:1::",
        "2002::1", "2002:6440:1::1", "2002:ac10:1::1",
        // Teredo.
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::1",
        // ISATAP.
        "2a00:1450::5efe:127.0.0.1", "2a00:1450::200:5efe:10.0.0.1", "2a00:1450::5efe:192.168.0.1",
        "2a00:1450:4001:81b:0:5efe:169.254.169.254", "fd00::5efe:8.8.8.8",
    ]

    private static func policy(
        _ relayed: IPAddress, bound: IPAddress? = nil, own: [IPAddress] = [], ports: [UInt16] = [],
        loopback: Bool = false, _ relayedPorts: RelayedPorts = RelayedPorts()
    ) -> PeerPolicy {
        var rules = PeerPolicy.Rules()
        rules.ownAddresses = own
        rules.ownUDPPorts = ports
        rules.ownTCPPorts = ports
        rules.allowsLoopback = loopback
        return PeerPolicy(
            addresses: RelayAddresses(RelayAddress(relayed: relayed, bound: bound ?? relayed)), rules: rules,
            relayedPorts: relayedPorts)
    }

    @Test(arguments: refused)
    func refusedUnderAnyEncoding(text: String) throws {
        let ip = try #require(IPAddress(text))
        for relayed in ["8.8.4.4", "2a00:1450::1"].compactMap({ IPAddress($0) }) {
            let policy = Self.policy(relayed)
            #expect(!policy.permits(SocketAddress(ip, port: 5000)))
            #expect(!policy.permits(SocketAddress(ip, port: 0)))
        }
    }

    @Test(arguments: ["8.8.4.4", "64:ff9b::8.8.4.4", "2002:808:404::1", "2a00:1450::5efe:8.8.4.4"])
    func ownAddressesAreRefusedUnderAnyEncoding(text: String) throws {
        let ip = try #require(IPAddress(text))
        let (relayed, own) = (try #require(IPAddress("2a00:1450::1")), try #require(IPAddress("8.8.4.4")))
        let policy = Self.policy(relayed, own: [own])
        #expect(!policy.permits(SocketAddress(ip, port: 5000)))
    }

    @Test(arguments: refused.filter { !$0.hasPrefix("127.") && $0 != "::1" })
    func developmentOpensLoopbackAlone(text: String) throws {
        let ip = try #require(IPAddress(text))
        let policy = Self.policy(.loopbackV4, ports: [3478], loopback: true)
        #expect(!policy.permits(SocketAddress(ip, port: 5000)))
    }

    @Test(arguments: [
        "8.8.8.8", "1.1.1.1", "11.0.0.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "126.0.0.1",
        "128.0.0.1", "169.253.0.1", "192.167.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "192.0.1.1",
        "2a00:1450::1", "2600::1", "2001:4860:4860::8888", "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00::5efe:8.8.8.8",
        "3ffe::1",
    ])
    func theInternetIsAllowed(text: String) throws {
        let policy = Self.policy(RelayHarness.relay, ports: [5000])
        #expect(policy.permits(SocketAddress(try #require(IPAddress(text)), port: 5000)))
    }

    @Test func ownListenersAreNeverPeers() {
        let ports = RelayedPorts()
        ports.open(3478, .v4)
        for allowsLoopback in [false, true] {
            let policy = Self.policy(
                .loopbackV4, own: [.loopbackV4, .loopbackV6], ports: [3478, 8480], loopback: allowsLoopback, ports)
            for ip in ["127.0.0.1", "127.0.0.2", "::1"].compactMap({ IPAddress($0) }) {
                for port: UInt16 in [3478, 8480] { #expect(!policy.permits(SocketAddress(ip, port: port))) }
            }
        }
    }

    @Test func ownRelayedAddressesArePeersWhileLive() {
        let ports = RelayedPorts()
        let policy = Self.policy(
            RelayHarness.relay, bound: IPAddress("10.0.0.5")!, own: [IPAddress("8.8.4.5")!], ports: [3478], ports)
        let relayed = SocketAddress(RelayHarness.relay, port: 50_000)
        #expect(!policy.permits(relayed))
        ports.open(50_000, .v4)
        #expect(policy.permits(relayed))
        #expect(!policy.permits(SocketAddress(RelayHarness.relay, port: 22)))
        #expect(!policy.permits(SocketAddress(IPAddress("8.8.4.5")!, port: 50_000)))
        ports.close(50_000, .v4)
        #expect(!policy.permits(relayed))
    }

    @Test func onLoopbackOnlyPortsThatWereOursAreRefused() {
        let ports = RelayedPorts()
        let policy = Self.policy(.loopbackV4, ports: [3478], loopback: true, ports)
        let peer = SocketAddress(.loopbackV4, port: 50_000)
        #expect(policy.permits(peer))
        ports.open(50_000, .v4)
        #expect(policy.permits(peer))
        ports.close(50_000, .v4)
        #expect(!policy.permits(peer))
    }

    /// A port that is live in one family and transport says nothing of the others.
    @Test func livePortsArePerFamilyAndTransport() throws {
        let ports = RelayedPorts()
        let v6 = try #require(IPAddress("2a00:1450::1"))
        let policy = PeerPolicy(
            addresses: RelayAddresses(v4: RelayAddress(RelayHarness.relay), v6: RelayAddress(v6)), rules: .init(),
            relayedPorts: ports)
        ports.open(50_000, .v4, .udp)
        ports.open(50_001, .v6, .tcp)
        let (v4Peer, v6Peer) = (SocketAddress(RelayHarness.relay, port: 50_000), SocketAddress(v6, port: 50_001))
        #expect(policy.permits(v4Peer, over: .udp) && !policy.permits(v4Peer, over: .tcp))
        #expect(policy.permits(v6Peer, over: .tcp) && !policy.permits(v6Peer, over: .udp))
        #expect(!policy.permits(SocketAddress(v6, port: 50_000)))
        #expect(!policy.permits(SocketAddress(RelayHarness.relay, port: 50_001), over: .tcp))
    }

    @Test func ownPortsAreApartPerTransport() {
        var rules = PeerPolicy.Rules()
        rules.ownUDPPorts = [3478]
        rules.ownTCPPorts = [8480]
        rules.allowsLoopback = true
        let policy = PeerPolicy(
            addresses: RelayAddresses(RelayAddress(.loopbackV4)), rules: rules, relayedPorts: RelayedPorts())
        let (udp, tcp) = (SocketAddress(.loopbackV4, port: 3478), SocketAddress(.loopbackV6, port: 8480))
        #expect(!policy.permits(udp) && policy.permits(udp, over: .tcp))
        #expect(!policy.permits(tcp, over: .tcp) && policy.permits(tcp))
    }

    @Test func namesOfEachFamilyAreTranslatedApart() throws {
        let (inside, outside) = (try #require(IPAddress("fd00::5")), try #require(IPAddress("2a00:1450::1")))
        let addresses = RelayAddresses(
            v4: RelayAddress(RelayHarness.relay), v6: RelayAddress(relayed: outside, bound: inside))
        for (published, local) in [(outside, inside), (RelayHarness.relay, RelayHarness.relay)] {
            let (published, local) = (SocketAddress(published, port: 7), SocketAddress(local, port: 7))
            #expect(addresses.local(published) == local)
            #expect(addresses.published(local) == published)
        }
    }
}
