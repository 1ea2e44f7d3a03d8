/// Close codes of `/connect` (RFC 6455 section 7.4, and our own).
enum CloseCode {
    static let normal: UInt16 = 1000
    /// The connection was lost; never sent in a close frame.
    static let abnormal: UInt16 = 1006
    static let restart: UInt16 = 1012
    static let tryLater: UInt16 = 1013
    static let protocolError: UInt16 = 4400
    static let authentication: UInt16 = 4401
    static let tooSlow: UInt16 = 4408
    static let replaced: UInt16 = 4409
    static let tooLarge: UInt16 = 4413
    static let rate: UInt16 = 4429
}
