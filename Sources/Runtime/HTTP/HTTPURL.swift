import Base
import HTTPCodec

/// An absolute URL of the schemes that this client speaks (RFC 9110 section 4.2, RFC 6455 section 3).
package struct HTTPURL: Hashable, Sendable {
    /// Whether TLS is used: `https`, `wss`.
    package let isSecure: Bool
    /// A name or an IP address; an IPv6 address without its brackets.
    package let host: String
    package let port: UInt16
    /// The path and query as they go into the request; the fragment stays behind.
    package let target: String

    /// Returns nil for other schemes, for user information, and for characters that must be percent-encoded.
    package init?(_ text: String) {
        guard let separator = text.firstRange(of: "://") else { return nil }
        switch text[..<separator.lowerBound].lowercased() {
        case "http", "ws": isSecure = false
        case "https", "wss": isSecure = true
        default: return nil
        }
        let rest = text[separator.upperBound...].prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        var target = String(rest[authority.endIndex...])
        if !target.hasPrefix("/") { target = "/" + target }
        guard target.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        self.target = target

        var host = authority
        var port = Substring()
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let tail = authority[authority.index(after: end)...]
            guard IPAddress(host)?.family == .v6, tail.isEmpty || tail.hasPrefix(":") else { return nil }
            port = tail.dropFirst()
        } else if let colon = authority.lastIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
        }
        // What stood in brackets is an address; colons stand nowhere else.
        guard !host.isEmpty, authority.hasPrefix("[") || host.utf8.allSatisfy(Self.isHostCharacter) else { return nil }
        self.host = String(host)
        if port.isEmpty {
            self.port = isSecure ? 443 : 80
        } else {
            guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(port) else { return nil }
            self.port = number
        }
    }

    /// What stands in the `Host` field.
    package var authority: String {
        let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
