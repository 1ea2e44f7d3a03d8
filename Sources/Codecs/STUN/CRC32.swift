/// CRC-32 of ITU V.42 (polynomial 0x04C11DB7, reflected), which FINGERPRINT is made of (RFC 8489 section 14.7).
///
/// Clients put FINGERPRINT into every Send indication, too: eight bytes are taken at a time, by a table for each of them.
enum CRC32 {
    /// What a byte does to the checksum; from 256 on, what it does when one more byte follows, and so forth up to seven.
    private static let tables: [UInt32] = {
        var tables: [UInt32] = (0..<256).map { index in
            (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320 }
        }
        for index in 256..<2048 {
            let former: UInt32 = tables[index - 256]
            tables.append(former >> 8 ^ tables[Int(former & 0xFF)])
        }
        return tables
    }()

    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        tables.withUnsafeBufferPointer { tables in
            var value: UInt32 = .max
            var offset = 0
            while offset + 8 <= bytes.count {
                let eight = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let mixed = eight ^ UInt64(value)
                value = 0
                for index in 0..<8 {
                    let byte = UInt8(truncatingIfNeeded: mixed >> UInt64(index << 3))
                    value ^= tables[(7 - index) << 8 | Int(byte)]
                }
                offset += 8
            }
            for index in offset..<bytes.count {
                value = value >> 8 ^ tables[Int(UInt8(truncatingIfNeeded: value) ^ bytes[index])]
            }
            return ~value
        }
    }
}

/// The value of FINGERPRINT for a message that ends where the attribute begins.
func fingerprint(of message: UnsafeRawBufferPointer) -> UInt32 {
    CRC32.checksum(message) ^ 0x5354_554E
}
