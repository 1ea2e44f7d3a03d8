import Base

/// What a server says about itself where an attacker cannot take it away: in the nonce, which it recognises
/// (RFC 8489 sections 9.2 and 18.1; bit 0 is the most significant of 24).
public struct STUNSecurityFeatures: OptionSet, Sendable, BitwiseCopyable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue & 0xFF_FFFF }

    /// PASSWORD-ALGORITHMS stands in the challenge.
    public static let passwordAlgorithms = STUNSecurityFeatures(rawValue: 1 << 23)
    /// USERHASH may stand for USERNAME.
    public static let usernameAnonymity = STUNSecurityFeatures(rawValue: 1 << 22)
}

/// The 13 characters that such a nonce begins with: `obMatJos2` and the features in base64.
public enum NonceCookie {
    public static let byteCount = 13
    private static let mark: StaticString = "obMatJos2"
    private static let digits: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// - Parameter buffer: room for 13 bytes (precondition).
    public static func write(_ features: STUNSecurityFeatures, into buffer: UnsafeMutableRawBufferPointer) {
        precondition(buffer.count >= byteCount)
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: mark.utf8Start, count: mark.utf8CodeUnitCount))
        for index in 0..<4 {
            let digit = features.rawValue >> UInt32(18 - 6 * index) & 63
            buffer[mark.utf8CodeUnitCount + index] = digits.utf8Start[Int(digit)]
        }
    }

    /// The features that a nonce carries; nil for one without a cookie.
    public static func features(of nonce: RawSpan) -> STUNSecurityFeatures? {
        guard nonce.byteCount >= byteCount else { return nil }
        return nonce.withUnsafeBytes { nonce in
            let count = mark.utf8CodeUnitCount
            guard nonce[..<count].elementsEqual(UnsafeBufferPointer(start: mark.utf8Start, count: count)),
                let bits = Base64.decode(String(decoding: nonce[count..<byteCount], as: UTF8.self)), bits.count == 3
            else { return nil }
            return STUNSecurityFeatures(rawValue: bits.reduce(0) { $0 << 8 | UInt32($1) })
        }
    }
}
