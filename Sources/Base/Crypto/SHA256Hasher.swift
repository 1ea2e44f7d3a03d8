import Base
import CShims

/// SHA-256 over bytes that arrive in pieces, with a state that can be saved and resumed: an interrupted upload goes on
/// hashing after a restart without reading again what it has.
public struct SHA256Hasher: Sendable {
    private var context = skerry_sha256()

    public init() { skerry_sha256_init(&context) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if let base = bytes.baseAddress { skerry_sha256_update(&context, base, bytes.count) }
    }

    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The hash of what came so far, 32 bytes. The hasher may go on.
    public func finalize() -> [UInt8] {
        var copy = context
        return [UInt8](unsafeUninitializedCapacity: 32) { output, initialized in
            skerry_sha256_final(&copy, output.baseAddress)
            initialized = 32
        }
    }

    private static let stateVersion: UInt8 = 1

    /// The midstate: version, eight chaining words, bit count, and the bytes of the unfinished block. At most 105 bytes.
    public var state: [UInt8] {
        var output: [UInt8] = [Self.stateVersion]
        withUnsafeBytes(of: context.h) { words in
            for word in words.bindMemory(to: UInt32.self) { output.append(bigEndian: word) }
        }
        output.append(bigEndian: UInt64(context.length_high) << 32 | UInt64(context.length_low))
        withUnsafeBytes(of: context.buffer) { output.append(contentsOf: $0.prefix(Int(context.buffered))) }
        return output
    }

    /// Resumes from a saved state; nil if it is not one.
    public init?(state: [UInt8]) {
        guard state.count >= 41, state[0] == Self.stateVersion else { return nil }
        func word(_ offset: Int) -> UInt32 { state[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        let rest = state[41...]
        let bits = UInt64(word(33)) << 32 | UInt64(word(37))
        guard rest.count < 64, bits % 512 == UInt64(rest.count) * 8 else { return nil }
        skerry_sha256_init(&context)
        withUnsafeMutableBytes(of: &context.h) { words in
            for index in 0..<8 { words.bindMemory(to: UInt32.self)[index] = word(1 + index * 4) }
        }
        context.length_high = word(33)
        context.length_low = word(37)
        withUnsafeMutableBytes(of: &context.buffer) { $0.copyBytes(from: rest) }
        context.buffered = UInt32(rest.count)
    }
}
