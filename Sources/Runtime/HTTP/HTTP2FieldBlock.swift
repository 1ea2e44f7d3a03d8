import CNGHTTP2
import HTTPCodec

/// The fields of a message as libnghttp2 takes them; reused from one answer to the next.
struct HTTP2FieldBlock {
    private var bytes: [UInt8] = []
    /// Where names and values end in `bytes`, alternating.
    private var ends: [Int] = []

    /// Begins anew, with the status of an answer.
    mutating func begin(status: Int) {
        precondition((100...999).contains(status), "a status has three digits")
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        append(":status")
        for digit in [status / 100, status / 10 % 10, status % 10] { bytes.append(UInt8(48 + digit)) }
        ends.append(bytes.count)
    }

    /// Names go out in lower case (RFC 9113 section 8.2).
    mutating func append(name: String, value: String) {
        append(name)
        bytes.append(contentsOf: value.utf8)
        ends.append(bytes.count)
    }

    /// All but what speaks of the connection, which HTTP/2 has no place for (RFC 9113 section 8.2.2).
    mutating func append(_ fields: HTTPFields) {
        for field in fields where !Self.isConnectionSpecific(field.name) {
            append(name: field.name, value: field.value)
        }
    }

    private mutating func append(_ name: String) {
        for byte in name.utf8 { bytes.append((65...90).contains(byte) ? byte | 0x20 : byte) }
        ends.append(bytes.count)
    }

    private static func isConnectionSpecific(_ name: String) -> Bool {
        switch name.utf8.count {
        case 7: name.lowercased() == "upgrade"
        case 10: ["connection", "keep-alive"].contains(name.lowercased())
        case 16: name.lowercased() == "proxy-connection"
        case 17: name.lowercased() == "transfer-encoding"
        default: false
        }
    }

    /// Shows the fields to a function of libnghttp2 that copies them.
    mutating func withPairs<Result>(_ body: (UnsafePointer<nghttp2_nv>, Int) -> Result) -> Result {
        let count = ends.count / 2
        return bytes.withUnsafeMutableBufferPointer { text in
            withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: count) { pairs in
                guard let base = text.baseAddress, let first = pairs.baseAddress else {
                    preconditionFailure("an answer has a status")
                }
                var start = 0
                for index in 0..<count {
                    let middle = ends[2 * index]
                    let end = ends[2 * index + 1]
                    (first + index).initialize(
                        to: nghttp2_nv(
                            name: base + start, value: base + middle, namelen: middle - start, valuelen: end - middle,
                            flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
                    start = end
                }
                return body(first, count)
            }
        }
    }
}
