/// The size that a WebP file says it has (RFC 9649: VP8, VP8L and VP8X chunks).
struct WebPHeader: Equatable {
    let width: Int
    let height: Int

    init(_ bytes: [UInt8]) throws {
        guard bytes.count >= 30, Array(bytes[0..<4]) == Array("RIFF".utf8), Array(bytes[8..<12]) == Array("WEBP".utf8)
        else { throw CommandFailure("this is no WebP file") }
        func little(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
        }
        switch String(decoding: bytes[12..<16], as: UTF8.self) {
        case "VP8 ": (width, height) = (little(26, 2) & 0x3FFF, little(28, 2) & 0x3FFF)
        case "VP8L": (width, height) = ((little(21, 4) & 0x3FFF) + 1, (little(21, 4) >> 14 & 0x3FFF) + 1)
        case "VP8X": (width, height) = (little(24, 3) + 1, little(27, 3) + 1)
        default: throw CommandFailure("this WebP file has an unknown form")
        }
    }
}
