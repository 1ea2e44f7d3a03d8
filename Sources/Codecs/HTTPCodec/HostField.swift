/// `uri-host [":" port]` (RFC 9110 section 7.2): no user information, no list, no path, and not empty.
func isHost(_ text: some Collection<UInt8>) -> Bool {
    var host = text[...]
    if host.first == UInt8(ascii: "[") {
        guard let end = host.firstIndex(of: UInt8(ascii: "]")) else { return false }
        guard host[host.index(after: host.startIndex)..<end].allSatisfy(isIPLiteralCharacter) else { return false }
        host = host[host.index(after: end)...]
        return host.isEmpty || host.first == UInt8(ascii: ":") && isPort(host.dropFirst())
    }
    if let colon = host.firstIndex(of: UInt8(ascii: ":")) {
        guard isPort(host[host.index(after: colon)...]) else { return false }
        host = host[..<colon]
    }
    return !host.isEmpty && host.allSatisfy(isHostCharacter)
}

/// Empty, or a number that fits.
private func isPort(_ text: some Collection<UInt8>) -> Bool {
    text.count <= 5 && text.allSatisfy { (48...57).contains($0) } && text.reduce(0) { $0 * 10 + Int($1 - 48) } <= 65_535
}

private func isIPLiteralCharacter(_ byte: UInt8) -> Bool {
    hexadecimalValue(byte) != nil || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
}

/// The characters of a registered name (RFC 3986 section 3.2.2) but the comma, which joins a list.
private func isHostCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"), UInt8(ascii: "%"), UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"),
        UInt8(ascii: "'"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"),
        UInt8(ascii: ";"), UInt8(ascii: "="):
        true
    default: false
    }
}
