/// An IPv4 or IPv6 address as a number. IPv4 stays IPv4: a v4-mapped IPv6 address is another value until
/// `unmapped` is asked for.
public struct IPAddress: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public enum Family: UInt8, Sendable, BitwiseCopyable {
        case v4 = 4
        case v6 = 6
    }

    public let family: Family
    /// The upper 64 bits of an IPv6 address; 0 for IPv4.
    public let high: UInt64
    /// The lower 64 bits of an IPv6 address, or the 32 bits of an IPv4 address.
    public let low: UInt64

    @inlinable
    public init(v4 bits: UInt32) {
        family = .v4
        high = 0
        low = UInt64(bits)
    }

    @inlinable
    public init(v6High high: UInt64, low: UInt64) {
        family = .v6
        self.high = high
        self.low = low
    }

    public static let loopbackV4 = IPAddress(v4: 0x7F00_0001)
    public static let loopbackV6 = IPAddress(v6High: 0, low: 1)
    public static let anyV4 = IPAddress(v4: 0)
    public static let anyV6 = IPAddress(v6High: 0, low: 0)

    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// The IPv4 address inside `::ffff:a.b.c.d`, or itself.
    @inlinable
    public var unmapped: IPAddress {
        family == .v6 && high == 0 && low >> 32 == 0xFFFF ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : self
    }

    /// Parses dotted decimal (four parts, no leading zeros) or RFC 4291 text, without zone.
    public init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let (high, low) = Self.parseV6(String(text)) else { return nil }
            self.init(v6High: high, low: low)
        } else {
            guard let bits = Self.parseV4(String(text)) else { return nil }
            self.init(v4: bits)
        }
    }

    private static func parseV4(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
                part.utf8.count == 1 || part.utf8.first != 48, let value = UInt8(part)
            else { return nil }
            bits = bits << 8 | UInt32(value)
        }
        return bits
    }

    private static func parseV6(_ text: String) -> (UInt64, UInt64)? {
        func groups(_ part: Substring) -> [UInt16]? {
            if part.isEmpty { return [] }
            var result: [UInt16] = []
            let pieces = part.split(separator: ":", omittingEmptySubsequences: false)
            for (index, piece) in pieces.enumerated() {
                if piece.utf8.contains(UInt8(ascii: ".")) {
                    guard index == pieces.count - 1, let bits = parseV4(String(piece)) else { return nil }
                    result += [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
                } else {
                    // Digits alone: the initialiser of integers would take a sign, too.
                    guard (1...4).contains(piece.utf8.count), piece.allSatisfy(\.isHexDigit),
                        let value = UInt16(piece, radix: 16)
                    else { return nil }
                    result.append(value)
                }
            }
            return result
        }
        let all: [UInt16]
        if let gap = text.firstRange(of: "::") {
            let tail = text[gap.upperBound...]
            guard !tail.contains("::"), let left = groups(text[..<gap.lowerBound]), let right = groups(tail),
                left.count + right.count <= 7
            else { return nil }
            all = left + Array(repeating: 0, count: 8 - left.count - right.count) + right
        } else {
            guard let whole = groups(text[...]), whole.count == 8 else { return nil }
            all = whole
        }
        let high = all[..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        let low = all[4...].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        return (high, low)
    }

    /// Dotted decimal, or the canonical text of RFC 5952.
    public var description: String {
        if family == .v4 {
            return [24, 16, 8, 0].map { String(low >> $0 & 255) }.joined(separator: ".")
        }
        if case let inner = unmapped, inner.family == .v4 { return "::ffff:\(inner)" }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index % 4)))
        }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > best.count, end - start >= 2 { best = start..<end }
            start = max(end, start + 1)
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return best.isEmpty ? text(0..<8) : text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
    }
}

/// An IP address and a port.
public struct SocketAddress: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var ip: IPAddress
    public var port: UInt16

    @inlinable
    public init(_ ip: IPAddress, port: UInt16) {
        self.ip = ip
        self.port = port
    }

    /// Parses `1.2.3.4:5` or `[::1]:5`.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
            guard let ip = IPAddress(host), ip.family == .v6 else { return nil }
            self.init(ip, port: port)
        } else {
            guard let ip = IPAddress(host), ip.family == .v4 else { return nil }
            self.init(ip, port: port)
        }
    }

    public var description: String { ip.family == .v4 ? "\(ip):\(port)" : "[\(ip)]:\(port)" }
}
