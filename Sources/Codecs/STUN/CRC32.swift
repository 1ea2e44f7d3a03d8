/// CRC-32 of ITU V.42 (polynomial 0x04C11DB7, reflected), which FINGERPRINT is made of (RFC 8489 section 14.7).
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320 }
    }

    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        table.withUnsafeBufferPointer { table in
            var value: UInt32 = .max
            for byte in bytes {
                value = value >> 8 ^ table[Int(UInt8(truncatingIfNeeded: value) ^ byte)]
            }
            return ~value
        }
    }
}

/// The value of FINGERPRINT for a message that ends where the attribute begins.
func fingerprint(of message: UnsafeRawBufferPointer) -> UInt32 {
    CRC32.checksum(message) ^ 0x5354_554E
}
