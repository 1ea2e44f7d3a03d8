import Base

/// Accepts `host:port` with a host name, an IPv4 address or an IPv6 address in brackets.
func hostAndPort(_ text: String) -> String? {
    if let address = SocketAddress(text) { return address.port > 0 ? text : nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let port = UInt16(parts[1]), port > 0, (1...253).contains(parts[0].utf8.count) else {
        return nil
    }
    // All digits and dots is an address that was mistyped, not a name.
    let isName = parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
        (1...63).contains(label.utf8.count) && isIdentityName(label) && label.first != "-" && label.last != "-"
    }
    return isName && parts[0].contains(where: \.isLetter) ? text : nil
}
