/// How a peer broke the protocol. Say so with `closeCode` and end the connection.
public enum WebSocketError: Error, Equatable, Sendable {
    case reservedBits
    case unknownOpcode
    /// A client's frame without a mask, or a server's with one.
    case wrongMasking
    case fragmentedControlFrame
    case controlFrameTooLarge
    /// A length in more bytes than it needs, or with the highest bit set.
    case malformedLength
    /// A continuation of nothing, or a new message within another.
    case unexpectedOpcode
    case malformedClose
    case invalidUTF8
    case messageTooLarge
    case tooManyEmptyFragments

    /// RFC 6455 section 7.4.1.
    public var closeCode: UInt16 {
        switch self {
        case .invalidUTF8: 1007
        case .messageTooLarge: 1009
        case .tooManyEmptyFragments: 1008
        default: 1002
        }
    }
}
