import Base
import STUN
import Testing

@Suite struct CredentialAttributeTests {
    /// Bit 0 of the features is the most significant (RFC 8489 section 18.1).
    @Test(
        arguments: [
            ([], "obMatJos2AAAA"), (.passwordAlgorithms, "obMatJos2gAAA"), (.usernameAnonymity, "obMatJos2QAAA"),
            ([.passwordAlgorithms, .usernameAnonymity], "obMatJos2wAAA"),
        ] as [(STUNSecurityFeatures, String)])
    func nonceCookies(features: STUNSecurityFeatures, text: String) {
        var written = [UInt8](repeating: 0, count: NonceCookie.byteCount)
        written.withUnsafeMutableBytes { NonceCookie.write(features, into: $0) }
        #expect(String(decoding: written, as: UTF8.self) == text)
        let nonce = written + Array("and more".utf8)
        #expect(NonceCookie.features(of: nonce.span.bytes) == features)
    }

    @Test(arguments: [
        "", "obMatJos2", "obMatJos2AAA", "obMatJos1AAAA", "obMatJos2A AA", "obMatJos2AAA=", "f//499k954d6OL",
    ])
    func otherNonces(text: String) {
        let nonce = Array(text.utf8)
        #expect(NonceCookie.features(of: nonce.span.bytes) == nil)
    }

    @Test func userhash() throws {
        let request = RFC8489Tests.request
        let message = try STUNMessage(request.span.bytes)
        expectEqual(message.userhash, Userhash(username: "マトリックス", realm: "example.org"))
        #expect(Userhash(username: "a", realm: "b") != Userhash(username: "a", realm: "c"))
        #expect(Userhash(bytes: [1, 2, 3]) == nil)
        let bytes = (0..<32).map { UInt8($0) }
        #expect(Userhash(bytes: bytes)?.bytes == bytes)
    }

    @Test func passwordAlgorithms() throws {
        let bytes = STUNMessageTests.message {
            $0.append(passwordAlgorithm: .sha256)
            $0.append(passwordAlgorithms: [.md5, .sha256])
        }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.passwordAlgorithm, .sha256)
        expectEqual(message.value(.passwordAlgorithms), [0, 1, 0, 0, 0, 2, 0, 0])
        expectEqual(message.hasPasswordAlgorithms([.md5, .sha256]), true)
        for other in [[], [.md5], [.sha256, .md5], [.md5, .sha256, .sha256]] as [[PasswordAlgorithm]] {
            expectEqual(message.hasPasswordAlgorithms(other), false)
        }
    }

    /// Another algorithm, parameters where ours have none, and sizes that are none.
    @Test(arguments: [[0, 3, 0, 0], [0, 2, 0, 4, 1, 2, 3, 4], [0, 2, 0, 1], [0, 2], []] as [[UInt8]])
    func otherPasswordAlgorithms(value: [UInt8]) throws {
        let bytes = STUNMessageTests.message {
            $0.append(.passwordAlgorithm, bytes: value)
            $0.append(.passwordAlgorithms, bytes: value)
        }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.passwordAlgorithm, nil)
        expectEqual(message.hasPasswordAlgorithms([.sha256]), false)
    }
}

/// What the profile keeps, maps and refuses (RFC 8265 section 4.3 has the first five).
@Suite struct OpaqueStringTests {
    @Test(
        arguments: [
            ("correct horse battery staple", "correct horse battery staple"),
            ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
            ("πßå", "πßå"),
            ("Jack of \u{2666}s", "Jack of \u{2666}s"),
            ("foo\u{1680}bar", "foo bar"),
            ("foo\u{00A0}\u{3000}bar", "foo  bar"),
            ("cafe\u{0301}", "caf\u{00E9}"),
            ("\u{212B}", "\u{00C5}"),
            ("マトリックス", "マトリックス"),
            ("\u{FF34}est", "\u{FF34}est"),
            ("col\u{00B7}l\u{00B7}lega", "col\u{00B7}l\u{00B7}lega"),
            ("\u{0915}\u{094D}\u{200D}\u{0937}", "\u{0915}\u{094D}\u{200D}\u{0937}"),
            ("ア\u{30FB}イ", "ア\u{30FB}イ"),
            ("\u{05D0}\u{05F3}", "\u{05D0}\u{05F3}"),
            ("\u{0375}α", "\u{0375}α"),
            ("\u{0661}\u{0662}", "\u{0661}\u{0662}"),
        ])
    func prepared(text: String, result: String) {
        // Strings compare by canonical equivalence: the scalars tell.
        #expect(OpaqueString.prepare(text).map { Array($0.unicodeScalars) } == Array(result.unicodeScalars))
    }

    @Test(
        arguments: [
            "", "my cat is a \u{0009}by", "line\n", "nul\u{0}", "\u{7F}", "\u{AD}hyphen", "\u{200B}zero",
            "\u{202E}turn",
            "\u{2028}", "\u{E000}", "\u{FFFF}", "\u{0378}", "\u{1100}\u{1161}\u{11A8}\u{1100}", "a\u{200D}b",
            "\u{200C}",
            "a\u{00B7}b", "x\u{30FB}", "x\u{05F4}", "\u{0375}a", "\u{0661}\u{06F1}", "\u{FEFF}",
        ])
    func refused(text: String) {
        #expect(OpaqueString.prepare(text) == nil)
    }

    /// One way is enough: preparing again changes nothing.
    @Test func isIdempotent() throws {
        for text in ["e\u{0301}\u{2003}x", "\u{1E9B}\u{0323}", "ﬁ", "\u{2126}"] {
            let once = try #require(OpaqueString.prepare(text))
            #expect(OpaqueString.prepare(once).map { Array($0.unicodeScalars) } == Array(once.unicodeScalars))
        }
    }
}
