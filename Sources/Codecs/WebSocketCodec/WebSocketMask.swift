/// A masking key at some place of its payload (RFC 6455 section 5.3). It is applied eight bytes at a time.
struct WebSocketMask {
    /// Twice the key as it lies in memory, from the place on.
    private let pattern: UInt64

    /// - Parameter phase: how many bytes of the payload come before the place.
    init(key: UInt32, phase: Int = 0) {
        let shift = UInt32(truncatingIfNeeded: phase) % 4 * 8
        let turned = (key << shift | (shift == 0 ? 0 : key >> (32 - shift))).bigEndian
        pattern = UInt64(turned) << 32 | UInt64(turned)
    }

    /// Masks or unmasks in place.
    func apply(to bytes: UnsafeMutableRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        apply(from: UnsafeRawPointer(start), to: start, count: bytes.count)
    }

    /// Masks or unmasks on the way from one place to another, or to the same.
    func apply(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
        var index = 0
        while index + 8 <= count {
            let word = source.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            target.storeBytes(of: word ^ pattern, toByteOffset: index, as: UInt64.self)
            index += 8
        }
        var rest = pattern.littleEndian
        while index < count {
            let byte = source.load(fromByteOffset: index, as: UInt8.self)
            target.storeBytes(of: byte ^ UInt8(truncatingIfNeeded: rest), toByteOffset: index, as: UInt8.self)
            rest >>= 8
            index += 1
        }
    }
}
