/// The numbers of ERROR-CODE (RFC 8489 section 14.8).
public struct STUNErrorCode: RawRepresentable, Error, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// RFC 8489 section 14.8.
    public static let tryAlternate = STUNErrorCode(rawValue: 300)
    public static let badRequest = STUNErrorCode(rawValue: 400)
    public static let unauthenticated = STUNErrorCode(rawValue: 401)
    public static let unknownAttribute = STUNErrorCode(rawValue: 420)
    public static let staleNonce = STUNErrorCode(rawValue: 438)
    public static let serverError = STUNErrorCode(rawValue: 500)

    /// RFC 8656 section 19.
    public static let forbidden = STUNErrorCode(rawValue: 403)
    public static let allocationMismatch = STUNErrorCode(rawValue: 437)
    public static let addressFamilyNotSupported = STUNErrorCode(rawValue: 440)
    public static let wrongCredentials = STUNErrorCode(rawValue: 441)
    public static let unsupportedTransport = STUNErrorCode(rawValue: 442)
    public static let peerAddressFamilyMismatch = STUNErrorCode(rawValue: 443)
    public static let allocationQuotaReached = STUNErrorCode(rawValue: 486)
    public static let insufficientCapacity = STUNErrorCode(rawValue: 508)

    /// RFC 6062 section 6.3.
    public static let connectionAlreadyExists = STUNErrorCode(rawValue: 446)
    public static let connectionTimeoutOrFailure = STUNErrorCode(rawValue: 447)

    /// RFC 8016 section 3.5.
    public static let mobilityForbidden = STUNErrorCode(rawValue: 405)
}

extension STUNErrorCode {
    /// Class and number as they stand in the lower half of an attribute's first four bytes.
    var attributeValue: UInt32 { UInt32(rawValue / 100) << 8 | UInt32(rawValue % 100) }

    /// Returns nil unless the class is 3 to 6 and the number below 100.
    init?(attributeValue field: UInt32) {
        let (hundreds, rest) = (UInt16(field >> 8 & 0b111), UInt16(field & 0xFF))
        guard (3...6).contains(hundreds), rest < 100 else { return nil }
        self.init(rawValue: hundreds * 100 + rest)
    }
}
