/// The name of a media object: SHA-256 of the bytes that were uploaded. Written as 64 lowercase hexadecimal digits.
public struct MediaID: Hashable, Sendable, CustomStringConvertible {
    /// 32 bytes.
    public let bytes: [UInt8]

    /// Returns nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Returns nil unless the text is 64 lowercase hexadecimal digits.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 64, !text.utf8.contains(where: { (65...90).contains($0) }),
            let bytes = Hex.decode(text)
        else { return nil }
        self.bytes = bytes
    }

    public var description: String { Hex.encode(bytes) }
}
