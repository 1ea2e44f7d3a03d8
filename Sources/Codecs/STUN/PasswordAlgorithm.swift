import Base

/// How a password becomes the key of MESSAGE-INTEGRITY (RFC 8489 section 18.5); none has parameters.
public enum PasswordAlgorithm: UInt16, Sendable, BitwiseCopyable {
    case md5 = 1
    case sha256 = 2
}

extension STUNMessage {
    /// PASSWORD-ALGORITHM (RFC 8489 section 14.12); nil if it is absent, malformed, or not one of ours.
    public var passwordAlgorithm: PasswordAlgorithm? {
        // Ours have no parameters.
        guard let field = number(.passwordAlgorithm), field & 0xFFFF == 0 else { return nil }
        return PasswordAlgorithm(rawValue: UInt16(field >> 16))
    }

    /// Whether PASSWORD-ALGORITHMS (RFC 8489 section 14.11) is there and lists just these, in this order.
    public func hasPasswordAlgorithms(_ algorithms: [PasswordAlgorithm]) -> Bool {
        guard let attribute = attribute(.passwordAlgorithms), attribute.count == algorithms.count * 4 else {
            return false
        }
        for (index, algorithm) in algorithms.enumerated() {
            let field = bytes.bigEndian(at: attribute.offset + index * 4, as: UInt32.self)
            guard field == UInt32(algorithm.rawValue) << 16 else { return false }
        }
        return true
    }
}

extension STUNWriter {
    public mutating func append(passwordAlgorithm algorithm: PasswordAlgorithm) {
        append(.passwordAlgorithm, number: UInt32(algorithm.rawValue) << 16)
    }

    public mutating func append(passwordAlgorithms algorithms: [PasswordAlgorithm]) {
        var offset = reserve(.passwordAlgorithms, count: algorithms.count * 4)
        for algorithm in algorithms {
            store(UInt32(algorithm.rawValue) << 16, at: offset)
            offset += 4
        }
    }
}
