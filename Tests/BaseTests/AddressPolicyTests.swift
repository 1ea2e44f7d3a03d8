import Base
import Testing

@Suite struct AddressPolicyTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "1.2.3.4", true),
        ("1.2.3.4", "1.2.3.4", true), ("1.2.3.4/32", "1.2.3.5", false), ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe00::1", false), ("::1", "::1", true), ("::/0", "2001::", true), ("::/0", "1.2.3.4", false),
        ("2001:db8::/65", "2001:db8::7fff:0:0:0", true), ("2001:db8::/65", "2001:db8::8000:0:0:0", false),
    ])
    func networks(_ network: String, _ address: String, _ isIn: Bool) throws {
        let network = try #require(IPNetwork(network))
        let address = try #require(IPAddress(address))
        #expect(network.contains(address) == isIn)
    }

    @Test(arguments: ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "x/8", ""])
    func thatIsNoNetwork(_ text: String) {
        #expect(IPNetwork(text) == nil)
    }

    @Test func onlyTheInternetAndWhatIsAllowed() throws {
        let policy = AddressPolicy.internet(and: [try #require(IPNetwork("192.168.7.0/24"))])
        for (text, isPermitted) in [
            ("8.8.8.8", true), ("2606:4700::1", true), ("192.168.7.1", true), ("192.168.8.1", false),
            ("127.0.0.1", false),
            ("::1", false), ("::ffff:127.0.0.1", false), ("::ffff:192.168.7.1", true), ("64:ff9b::a00:1", false),
            ("169.254.169.254", false), ("0.0.0.0", false), ("fd00::1", false), ("224.0.0.1", false),
        ] {
            let address = try #require(IPAddress(text))
            #expect(policy.permits(address) == isPermitted, "\(text)")
            #expect(AddressPolicy.any.permits(address))
        }
    }
}
