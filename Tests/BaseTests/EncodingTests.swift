import Base
import Testing

@Suite struct EncodingTests {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy"),
    ])
    func `base64 by RFC 4648 section 10`(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
        let bare = encoded.filter { $0 != "=" }
        #expect(Base64.encode(Array(plain.utf8), .url) == bare)
        #expect(Base64.decode(bare, .url) == Array(plain.utf8))
    }

    @Test(arguments: ["Zg", "Zg=", "Zh==", "Z", "Zm9v\n", "Zm 9", "====", "Zg==Zg=="])
    func `base64 has one spelling`(text: String) { #expect(Base64.decode(text) == nil) }

    @Test func `hexadecimal both ways`() {
        #expect(Hex.encode([0, 0xAB, 0xFF]) == "00abff")
        #expect(Hex.decode("00ABff") == [0, 0xAB, 0xFF])
        #expect(Hex.decode("abc") == nil)
        #expect(Hex.decode("zz") == nil)
    }
}

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("::", "::"), ("::1", "::1"), ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"), ("1::", "1::"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
    func `texts of addresses`(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
    }

    @Test(arguments: [
        "", "1.2.3", "01.2.3.4", "1.2.3.256", "1.2.3.4.5", ":", ":::", "1::2::3", "12345::", "::1%eth0", "1.2.3.4:5",
        "+1::", "1:2:3:4:5:6:7:-0",
    ])
    func `what is no address`(text: String) { #expect(IPAddress(text) == nil) }

    @Test func `a mapped address has an IPv4 form`() {
        #expect(IPAddress("::ffff:10.0.0.1")?.unmapped == IPAddress("10.0.0.1"))
        #expect(SocketAddress("[::1]:80")?.description == "[::1]:80")
        #expect(SocketAddress("[1.2.3.4]:80") == nil)
        #expect(SocketAddress("1.2.3.4:80")?.port == 80)
    }
}

@Suite struct IdentityTests {
    @Test func `names of tenants, users and devices`() {
        #expect(isIdentityName("Alice.b_c-1"))
        for name in ["", "a/b", "a b", "ä", "a:b", String(repeating: "a", count: 65)] { #expect(!isIdentityName(name)) }
    }

    @Test func `a UUIDv7 carries its time, its version and its variant`() throws {
        let uuid = UUID.v7(at: WallTime(milliseconds: 0x0123_4567_89AB))
        #expect(uuid.description.hasPrefix("01234567-89ab-7"))
        #expect("89ab".contains(uuid.description.dropFirst(19).first!))
        #expect(UUID(uuid.description.uppercased()) == uuid)
        #expect(UUID("01234567-89ab-7000-8000") == nil)
    }

    @Test func `a media id is 64 lowercase digits`() {
        let text = String(repeating: "ab", count: 32)
        #expect(MediaID(text)?.description == text)
        #expect(MediaID(text.uppercased()) == nil)
        #expect(MediaID("ab") == nil)
    }
}

@Suite struct TimeTests {
    @Test func `time saturates instead of wrapping`() {
        #expect(MonotonicInstant(nanoseconds: 5) + .seconds(-1) == MonotonicInstant(nanoseconds: 0))
        #expect(MonotonicInstant(nanoseconds: .max) + .seconds(1) == MonotonicInstant(nanoseconds: .max))
        #expect(MonotonicInstant(nanoseconds: 1) - MonotonicInstant(nanoseconds: 3) == .nanoseconds(-2))
        #expect(WallTime(milliseconds: -1).seconds == -1)
        #expect((WallTime(milliseconds: .max) + .seconds(1)).milliseconds == .max)
    }
}

@Suite struct MetricsTests {
    @Test func `the text that Prometheus reads`() {
        let registry = MetricsRegistry()
        registry.counter("a_total", "Counts.", labels: ["kind": "x"]).increment(by: 3)
        registry.gauge("b", "Goes.").set(-2)
        registry.timer("c_seconds", "Lasts.").record(.milliseconds(2))
        let text = registry.render()
        #expect(text.contains("# TYPE a_total counter\na_total{kind=\"x\"} 3\n"))
        #expect(text.contains("\nb -2\n"))
        #expect(text.contains("c_seconds_bucket{le=\"0.0025\"} 1\n"))
        #expect(text.contains("c_seconds_count 1\n"))
    }
}
