import Base
import STUN
import Testing

@testable import RelayEngine

@Suite struct PeerPolicyTests {
    private static let v6Relay = IPAddress("2a00:1450::1")!

    private static func policy(
        _ relayed: IPAddress = RelayHarness.relay, bound: IPAddress? = nil, _ ports: RelayedPorts = RelayedPorts(),
        _ change: (inout PeerPolicy.Rules) -> Void = { _ in }
    ) -> PeerPolicy {
        var rules = PeerPolicy.Rules()
        change(&rules)
        return PeerPolicy(
            addresses: RelayAddresses(RelayAddress(relayed: relayed, bound: bound ?? relayed)), rules: rules,
            relayedPorts: ports)
    }

    private static func networks(_ texts: String...) -> [IPNetwork] { texts.map { IPNetwork($0)! } }

    @Test func theTableIsLarge() {
        #expect(Set(RefusedPeers.all).count == RefusedPeers.all.count)
        #expect(RefusedPeers.all.count >= 130)
    }

    /// For permissions, channels and connections alike, with relay addresses of either family.
    @Test(arguments: RefusedPeers.all)
    func refusedUnderAnyEncoding(text: String) throws {
        let ip = try #require(IPAddress(text))
        for relayed in [RelayHarness.relay, Self.v6Relay] {
            let policy = Self.policy(relayed)
            for transport in [RelayedTransport.udp, .tcp] {
                let peer = SocketAddress(ip, port: 5000)
                for use in [PeerPolicy.PeerUse.permission, .channel, .connection] {
                    #expect(policy.refusal(of: peer, for: use, over: transport) { _ in true } == .forbidden)
                }
                #expect(!policy.permits(SocketAddress(ip, port: 0), over: transport))
            }
        }
    }

    @Test(arguments: RefusedPeers.plain + RefusedPeers.carried)
    func developmentOpensLoopbackAlone(text: String) throws {
        let policy = Self.policy(.loopbackV4) { $0.allowsLoopback = true }
        #expect(!policy.permits(SocketAddress(try #require(IPAddress(text)), port: 5000)))
    }

    @Test(arguments: [
        "8.8.8.8", "1.1.1.1", "11.0.0.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "126.0.0.1",
        "128.0.0.1", "169.253.0.1", "192.167.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "192.0.1.1",
        "2a00:1450::1", "2600::1", "2001:4860:4860::8888", "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00::5efe:8.8.8.8",
        "2002:808:808::5efe:9.9.9.9", "3ffe::1",
    ])
    func theInternetIsAllowed(text: String) throws {
        let policy = Self.policy { $0.ownPorts = [5000] }
        #expect(policy.permits(SocketAddress(try #require(IPAddress(text)), port: 5000)))
    }

    @Test func whatIsWrongAboutAPeerBesides() {
        let policy = Self.policy()
        let peer = SocketAddress("9.9.9.9:0")!
        for use in [PeerPolicy.PeerUse.permission, .channel, .connection] {
            #expect(policy.refusal(of: nil, for: use, over: .udp) { _ in true } == .badRequest)
            #expect(
                policy.refusal(of: peer, for: use, over: .udp) { _ in true }
                    == (use == .permission ? nil : .badRequest))
            #expect(
                policy.refusal(of: RelayHarness.peer, for: use, over: .udp) { $0 == .v6 } == .peerAddressFamilyMismatch)
        }
    }

    // MARK: - This host

    @Test(arguments: [
        "8.8.4.4", "64:ff9b::8.8.4.4", "2002:808:404::1", "2a00:1450::5efe:8.8.4.4", "2002:909:909::5efe:8.8.4.4",
        "2001:67c:2b0:db32:0:1:808:404",
    ])
    func ownAddressesAreRefusedUnderAnyEncoding(text: String) throws {
        let ip = try #require(IPAddress(text))
        let policy = Self.policy(Self.v6Relay) {
            $0.ownAddresses = OwnAddresses([RelayHarness.relay])
            $0.translationPrefixes = Self.networks("2001:67c:2b0:db32:0:1::/96")
        }
        #expect(!policy.permits(SocketAddress(ip, port: 5000)))
    }

    /// What reaches this host by another name is never asked about port by port: there is no such name.
    @Test(arguments: ["64:ff9b::8.8.4.4", "2002:808:404::1", "2a00:1450::5efe:8.8.4.4", "::ffff:8.8.4.4"])
    func ownRelayedAddressesHaveOneName(text: String) throws {
        let ports = RelayedPorts()
        for family in [IPAddress.Family.v4, .v6] { ports.open(50_000, family) }
        let policy = PeerPolicy(
            addresses: RelayAddresses(v4: RelayAddress(RelayHarness.relay), v6: RelayAddress(Self.v6Relay)),
            rules: .init(), relayedPorts: ports)
        #expect(policy.permits(SocketAddress(RelayHarness.relay, port: 50_000)))
        #expect(!policy.permits(SocketAddress(try #require(IPAddress(text)), port: 50_000)))
    }

    @Test func ownListenersAreNeverPeers() {
        let ports = RelayedPorts()
        ports.open(3478, .v4)
        let everything = Self.networks("0.0.0.0/0", "::/0")
        for allowed in [[], everything] {
            for allowsLoopback in [false, true] {
                let policy = Self.policy(.loopbackV4, ports) {
                    $0.ownAddresses = OwnAddresses(
                        ["127.0.0.1", "::1", "10.0.0.5", "2a00:1450::2"].map { IPAddress($0)! })
                    $0.ownPorts = [3478, 8480]
                    $0.allowed = allowed
                    $0.allowsLoopback = allowsLoopback
                }
                for ip in [
                    "127.0.0.1", "127.0.0.2", "::1", "10.0.0.5", "2a00:1450::2", "0.0.0.0", "::", "::ffff:127.0.0.1",
                    "::127.0.0.1", "64:ff9b::10.0.0.5", "2002:7f00:1::1",
                ] {
                    for (port, transport) in [(3478, .udp), (3478, .tcp), (8480, .udp), (8480, RelayedTransport.tcp)] {
                        #expect(!policy.permits(SocketAddress(IPAddress(ip)!, port: UInt16(port)), over: transport))
                    }
                }
                #expect(policy.permits(SocketAddress("10.0.0.5:22")!) == !allowed.isEmpty)
            }
        }
    }

    @Test func ownRelayedAddressesArePeersWhileLive() {
        let ports = RelayedPorts()
        let policy = Self.policy(bound: IPAddress("10.0.0.5")!, ports) {
            $0.ownAddresses = OwnAddresses([IPAddress("8.8.4.5")!])
            $0.ownPorts = [3478]
        }
        for ip in [RelayHarness.relay, IPAddress("10.0.0.5")!] {
            let relayed = SocketAddress(ip, port: 50_000)
            #expect(!policy.permits(relayed))
            ports.open(50_000, .v4)
            #expect(policy.permits(relayed))
            #expect(!policy.permits(SocketAddress(ip, port: 22)))
            #expect(!policy.permits(SocketAddress(IPAddress("8.8.4.5")!, port: 50_000)))
            ports.close(50_000, .v4)
            #expect(!policy.permits(relayed))
        }
    }

    @Test func onLoopbackOnlyPortsThatWereOursAreRefused() {
        let ports = RelayedPorts()
        let policy = Self.policy(.loopbackV4, ports) {
            $0.ownPorts = [3478]
            $0.allowsLoopback = true
        }
        let peer = SocketAddress(.loopbackV4, port: 50_000)
        #expect(policy.permits(peer))
        ports.open(50_000, .v4)
        #expect(policy.permits(peer))
        ports.close(50_000, .v4)
        #expect(!policy.permits(peer))
    }

    /// A port that is live in one family and transport says nothing of the others.
    @Test func livePortsArePerFamilyAndTransport() {
        let ports = RelayedPorts()
        let policy = PeerPolicy(
            addresses: RelayAddresses(v4: RelayAddress(RelayHarness.relay), v6: RelayAddress(Self.v6Relay)),
            rules: .init(), relayedPorts: ports)
        ports.open(50_000, .v4, .udp)
        ports.open(50_001, .v6, .tcp)
        let v4Peer = SocketAddress(RelayHarness.relay, port: 50_000)
        let v6Peer = SocketAddress(Self.v6Relay, port: 50_001)
        #expect(policy.permits(v4Peer, over: .udp) && !policy.permits(v4Peer, over: .tcp))
        #expect(policy.permits(v6Peer, over: .tcp) && !policy.permits(v6Peer, over: .udp))
        #expect(!policy.permits(SocketAddress(Self.v6Relay, port: 50_000)))
        #expect(!policy.permits(SocketAddress(RelayHarness.relay, port: 50_001), over: .tcp))
    }

    @Test func namesOfEachFamilyAreTranslatedApart() throws {
        let inside = try #require(IPAddress("fd00::5"))
        let addresses = RelayAddresses(
            v4: RelayAddress(RelayHarness.relay), v6: RelayAddress(relayed: Self.v6Relay, bound: inside))
        for (published, local) in [(Self.v6Relay, inside), (RelayHarness.relay, RelayHarness.relay)] {
            let (published, local) = (SocketAddress(published, port: 7), SocketAddress(local, port: 7))
            #expect(addresses.local(published) == local)
            #expect(addresses.published(local) == published)
        }
    }

    // MARK: - Lists

    @Test func listsOfTheOperator() {
        let policy = Self.policy {
            $0.allowed = Self.networks("10.1.0.0/16", "fd00::/16", "2002::/16")
            $0.denied = Self.networks("10.1.7.0/24", "9.9.9.0/24", "2a00:1450::/32", "2001:470::/32")
            $0.ownAddresses = OwnAddresses([IPAddress("10.1.0.5")!])
            $0.ownPorts = [3478]
        }
        for (peer, isPermitted) in [
            ("10.1.0.1:53", true), ("10.2.0.1:53", false), ("[fd00::1]:53", true), ("[fd01::1]:53", false),
            // Deny wins, over the default and over what is allowed, in whatever form.
            ("10.1.7.1:53", false), ("9.9.9.9:53", false), ("8.8.8.8:53", true), ("[2a00:1450::1]:53", false),
            ("[64:ff9b::909:909]:53", false), ("[2002:909:909::1]:53", false), ("[2600::5efe:909:909]:53", false),
            ("[2001:470::5efe:808:808]:53", false),
            // What is carried inside is allowed by its own network; the outside has to be as well.
            ("[64:ff9b::a01:1]:53", true), ("[64:ff9b::a02:1]:53", false), ("[2002:a01:1::1]:53", true),
            ("[2002:a02:1::1]:53", false), ("[::ffff:10.1.0.1]:53", false),
            // This host where it was allowed, save our own ports, and by its own name alone.
            ("10.1.0.5:53", true), ("10.1.0.5:3478", false), ("[64:ff9b::a01:5]:53", false),
        ] {
            #expect(policy.permits(SocketAddress(peer)!) == isPermitted, "\(peer)")
        }
    }

    @Test func whatNamesNoHostIsNeverAllowed() {
        let policy = Self.policy { $0.allowed = Self.networks("0.0.0.0/0", "::/0") }
        for ip in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "239.255.255.255", "::", "ff02::1", "::ffff:0.0.0.0"] {
            #expect(!policy.permits(SocketAddress(IPAddress(ip)!, port: 53)), "\(ip)")
        }
        #expect(policy.permits(SocketAddress("[::ffff:10.0.0.1]:53")!))
    }

    /// RFC 6052 section 2.4: 192.0.2.33 under each length of prefix, here 127.0.0.33 and 9.9.9.33.
    @Test(arguments: [
        ("2001:470::/32", "2001:470:7f00:21::", "2001:470:909:921::"),
        ("2001:470:100::/40", "2001:470:17f:0:21::", "2001:470:109:909:21::"),
        ("2001:470:122::/48", "2001:470:122:7f00:0:2100::", "2001:470:122:909:9:2100::"),
        ("2001:470:122:300::/56", "2001:470:122:37f:0:21::", "2001:470:122:309:9:921::"),
        ("2001:470:122:344::/64", "2001:470:122:344:7f:0:2100:0", "2001:470:122:344:9:909:2100:0"),
        ("2001:470:122:344::/96", "2001:470:122:344::127.0.0.33", "2001:470:122:344::9.9.9.33"),
        ("64:ff9b:1::/96", "64:ff9b:1::127.0.0.33", "64:ff9b:1::9.9.9.33"),
    ])
    func translationPrefixes(prefix: String, loopback: String, global: String) throws {
        let policy = Self.policy { $0.translationPrefixes = Self.networks(prefix) }
        #expect(!policy.permits(SocketAddress(try #require(IPAddress(loopback)), port: 53)))
        let address = try #require(IPAddress(global))
        #expect(policy.permits(SocketAddress(address, port: 53)))
        #expect(address.carriedV4(translatedBy: Self.networks(prefix)).contains(IPAddress("9.9.9.33")!))
    }

    // MARK: - Whatever carries an address

    /// Every form that carries IPv4, with all else in it made up.
    private static let forms: [@Sendable (UInt64, inout SplitMix) -> IPAddress] = [
        { v4, _ in IPAddress(v6High: 0, low: v4) },
        { v4, _ in IPAddress(v6High: 0, low: 0xFFFF_0000_0000 | v4) },
        { v4, _ in IPAddress(v6High: 0, low: 0xFFFF_0000_0000_0000 | v4) },
        { v4, _ in IPAddress(v6High: 0x0064_FF9B_0000_0000, low: v4) },
        { v4, random in IPAddress(v6High: 0x0064_FF9B_0001_0000 | .random(in: 0...0xFFFF, using: &random), low: v4) },
        { v4, random in
            IPAddress(v6High: 0x2002 << 48 | v4 << 16 | .random(in: 0...0xFFFF, using: &random), low: random.next())
        },
        { v4, random in IPAddress(v6High: 0x2001_0000 << 32 | v4, low: random.next()) },
        { v4, random in
            IPAddress(
                v6High: 0x2001_0000 << 32 | random.next() >> 32, low: random.next() << 32 | (v4 ^ 0xFFFF_FFFF))
        },
        { v4, random in IPAddress(v6High: 0x2A00 << 48 | random.next() >> 16, low: 0x5EFE << 32 | v4) },
        { v4, random in IPAddress(v6High: 0x2600 << 48 | random.next() >> 16, low: 0x0200_5EFE << 32 | v4) },
        { v4, random in
            let v6 = IPAddress("2002:808:808::")!
            return IPAddress(v6High: v6.high | .random(in: 0...0xFFFF, using: &random), low: 0x5EFE << 32 | v4)
        },
        { v4, _ in IPAddress(v6High: 0x2001_0470_0122_0344, low: v4) },
        { v4, random in
            IPAddress(
                v6High: 0x2001_0470_0122 << 16 | v4 >> 16,
                low: (v4 & 0xFFFF) << 40 | .random(in: 0...0xFF_FFFF_FFFF, using: &random))
        },
    ]

    /// What is refused in the plain form is refused in all others, even where every IPv6 address is allowed; and what an
    /// operator denies as well.
    ///
    /// Not 0.0.0.1: what looks like it is ::1.
    @Test(
        arguments: RefusedPeers.all.filter { !$0.contains(":") && $0 != "0.0.0.1" } + ["8.8.4.4", "8.8.4.5", "9.9.9.9"])
    func noFormReachesMore(text: String) throws {
        let plain = try #require(IPAddress(text))
        let policy = Self.policy { rules in
            rules.allowed = Self.networks("::/0")
            rules.denied = Self.networks("9.9.9.0/24")
            rules.ownAddresses = OwnAddresses([IPAddress("8.8.4.5")!])
            rules.translationPrefixes = Self.networks("2001:470:122:344::/96", "2001:470:122::/48")
            rules.allowsLoopback = true
        }
        var random = SplitMix(state: plain.low)
        for form in Self.forms {
            for _ in 0..<20 {
                let address = form(plain.low, &random)
                let isPermitted = policy.permits(SocketAddress(address, port: 53))
                #expect(!isPermitted, "\(address)")
            }
        }
    }
}
