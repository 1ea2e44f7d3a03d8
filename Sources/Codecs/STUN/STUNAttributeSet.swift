/// Comprehension-required attributes that a receiver understands. A receiver ignores one that it understands and did not
/// expect; one that it does not understand makes it refuse the message (RFC 8489 section 6.3).
public struct STUNAttributeSet: Sendable, BitwiseCopyable {
    /// A bit for each type below 64: every type that is understood is there.
    private let bits: UInt64

    private init(_ types: [STUNAttributeType]) {
        bits = types.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
    }

    private init(bits: UInt64) { self.bits = bits }

    /// What a TURN server understands: RFC 8489, RFC 8656, RFC 6062 and RFC 7635. Those of other messages than requests are
    /// among them, as known but unexpected.
    public static let relay = STUNAttributeSet([
        .mappedAddress, .username, .messageIntegrity, .errorCode, .unknownAttributes, .realm, .nonce,
        .messageIntegritySHA256, .passwordAlgorithm, .userhash, .xorMappedAddress, .channelNumber, .lifetime,
        .xorPeerAddress, .data, .xorRelayedAddress, .requestedAddressFamily, .evenPort, .requestedTransport,
        .dontFragment, .reservationToken, .connectionID, .accessToken,
    ])

    /// What a server that discovers NAT behaviour understands besides (RFC 5780 section 7): one without a second address
    /// must not.
    public static let discovery = STUNAttributeSet([.changeRequest, .padding, .responsePort])

    public func union(_ other: STUNAttributeSet) -> STUNAttributeSet { STUNAttributeSet(bits: bits | other.bits) }

    public func contains(_ type: STUNAttributeType) -> Bool {
        type.rawValue < 64 && bits >> UInt64(type.rawValue) & 1 != 0
    }
}
