/// How a password becomes the key of MESSAGE-INTEGRITY (RFC 8489 section 18.5); none has parameters.
public enum PasswordAlgorithm: UInt16, Sendable, BitwiseCopyable {
    case md5 = 1
    case sha256 = 2
}
