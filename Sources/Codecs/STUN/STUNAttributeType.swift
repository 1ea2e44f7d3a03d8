/// The type of a STUN attribute: those that this codec reads or writes have names.
public struct STUNAttributeType: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// RFC 8489 section 14.
    public static let mappedAddress = STUNAttributeType(rawValue: 0x0001)
    public static let username = STUNAttributeType(rawValue: 0x0006)
    public static let messageIntegrity = STUNAttributeType(rawValue: 0x0008)
    public static let errorCode = STUNAttributeType(rawValue: 0x0009)
    public static let unknownAttributes = STUNAttributeType(rawValue: 0x000A)
    public static let realm = STUNAttributeType(rawValue: 0x0014)
    public static let nonce = STUNAttributeType(rawValue: 0x0015)
    public static let messageIntegritySHA256 = STUNAttributeType(rawValue: 0x001C)
    public static let passwordAlgorithm = STUNAttributeType(rawValue: 0x001D)
    public static let userhash = STUNAttributeType(rawValue: 0x001E)
    public static let xorMappedAddress = STUNAttributeType(rawValue: 0x0020)
    public static let passwordAlgorithms = STUNAttributeType(rawValue: 0x8002)
    public static let alternateDomain = STUNAttributeType(rawValue: 0x8003)
    public static let software = STUNAttributeType(rawValue: 0x8022)
    public static let alternateServer = STUNAttributeType(rawValue: 0x8023)
    public static let fingerprint = STUNAttributeType(rawValue: 0x8028)

    /// RFC 8656 section 18.
    public static let channelNumber = STUNAttributeType(rawValue: 0x000C)
    public static let lifetime = STUNAttributeType(rawValue: 0x000D)
    public static let xorPeerAddress = STUNAttributeType(rawValue: 0x0012)
    public static let data = STUNAttributeType(rawValue: 0x0013)
    public static let xorRelayedAddress = STUNAttributeType(rawValue: 0x0016)
    public static let requestedAddressFamily = STUNAttributeType(rawValue: 0x0017)
    public static let evenPort = STUNAttributeType(rawValue: 0x0018)
    public static let requestedTransport = STUNAttributeType(rawValue: 0x0019)
    public static let dontFragment = STUNAttributeType(rawValue: 0x001A)
    public static let reservationToken = STUNAttributeType(rawValue: 0x0022)
    public static let additionalAddressFamily = STUNAttributeType(rawValue: 0x8000)
    public static let addressErrorCode = STUNAttributeType(rawValue: 0x8001)
    /// ADDITIONAL-ADDRESS-FAMILY as draft-martinsen-tram-ssoda, which it comes from, and coturn's client to this day number it.
    public static let formerAdditionalAddressFamily = STUNAttributeType(rawValue: 0x8032)
    public static let icmp = STUNAttributeType(rawValue: 0x8004)

    /// RFC 6062 section 6.2.
    public static let connectionID = STUNAttributeType(rawValue: 0x002A)

    /// RFC 8016 section 3.4.
    public static let mobilityTicket = STUNAttributeType(rawValue: 0x8030)

    /// RFC 7635 section 6.
    public static let accessToken = STUNAttributeType(rawValue: 0x001B)
    public static let thirdPartyAuthorization = STUNAttributeType(rawValue: 0x802E)

    /// RFC 5780 section 7.
    public static let changeRequest = STUNAttributeType(rawValue: 0x0003)
    public static let padding = STUNAttributeType(rawValue: 0x0026)
    public static let responsePort = STUNAttributeType(rawValue: 0x0027)
    public static let responseOrigin = STUNAttributeType(rawValue: 0x802B)
    public static let otherAddress = STUNAttributeType(rawValue: 0x802C)

    /// Whether a receiver that does not know the attribute must refuse the message (RFC 8489 section 5).
    public var isComprehensionRequired: Bool { rawValue < 0x8000 }
}
