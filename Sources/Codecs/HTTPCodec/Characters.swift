// The character classes of RFC 9110 section 5.6 and RFC 9112.

@inlinable
func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"),
        UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
        UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"),
        UInt8(ascii: "|"), UInt8(ascii: "~"):
        true
    default: false
    }
}

/// Field values: visible ASCII, space, tab, and the bytes above ASCII (RFC 9110 section 5.5).
func isFieldValueCharacter(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != 0x7F || byte == 0x09
}

/// Whether text is a token (RFC 9110 section 5.6.2): a method, a field name, a subprotocol.
public func isToken(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy(isTokenCharacter)
}

/// ASCII case-insensitive comparison.
public func equalsIgnoringCase(_ left: String, _ right: String) -> Bool {
    equalsIgnoringCase(left.utf8, right.utf8)
}

func equalsIgnoringCase(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for (a, b) in zip(left, right) where a != b {
        // Letters alone differ by this bit and nothing else.
        guard a ^ b == 0x20, case UInt8(ascii: "a")...UInt8(ascii: "z") = a | 0x20 else { return false }
    }
    return true
}

/// Cuts spaces and tabs (OWS) at both ends.
func trimmingWhitespace(_ text: Substring.UTF8View) -> Substring.UTF8View {
    var rest = text
    while let first = rest.first, first == 0x20 || first == 0x09 { rest.removeFirst() }
    while let last = rest.last, last == 0x20 || last == 0x09 { rest.removeLast() }
    return rest
}
