/// Finds the end of a message's head among the bytes that came so far, looking at each byte once, and refuses line
/// breaks other than CRLF on the way.
struct HeadScanner {
    private let limits: HTTPHeadLimits
    private var scanned = 0
    private var lineStart = 0
    private var lines = 0

    init(limits: HTTPHeadLimits) {
        self.limits = limits
    }

    /// - Parameter bytes: everything from the head's first byte on; more of it at each call.
    /// - Returns: the number of bytes of the head with its empty line, or nil when more is needed.
    mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(HTTPParsingError) -> Int? {
        let end = min(bytes.count, limits.maxBytes)
        while scanned < end {
            let byte = bytes[scanned]
            if byte == UInt8(ascii: "\n") {
                guard scanned > 0, bytes[scanned - 1] == UInt8(ascii: "\r") else { throw .bareLineBreak }
                let isEmptyLine = scanned - lineStart == 1
                scanned += 1
                lineStart = scanned
                if isEmptyLine { return scanned }
                lines += 1
                if lines > limits.maxFields + 1 { throw .tooManyFields }
            } else {
                if scanned > 0, bytes[scanned - 1] == UInt8(ascii: "\r") { throw .bareLineBreak }
                scanned += 1
            }
        }
        if bytes.count >= limits.maxBytes { throw lines == 0 ? .startLineTooLong : .headTooLarge }
        return nil
    }
}

/// The lines of a complete head, without their CRLF.
struct HeadLines {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    /// - Parameter bytes: a head whose lines all end in CRLF, as the scanner proved.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next line; an empty one at the end.
    mutating func next() -> UnsafeRawBufferPointer {
        var end = position
        while end < bytes.count, bytes[end] != UInt8(ascii: "\r") { end += 1 }
        let line = UnsafeRawBufferPointer(rebasing: bytes[position..<end])
        position = min(end + 2, bytes.count)
        return line
    }

    /// The field lines up to the empty one (RFC 9112 section 5).
    mutating func fields() throws(HTTPParsingError) -> HTTPFields {
        var fields = HTTPFields()
        while case let line = next(), !line.isEmpty {
            let (name, value) = try parseFieldLine(line)
            fields.append(name: name, value: value)
        }
        return fields
    }
}

/// `name ":" OWS value OWS`. Bytes above ASCII that are not UTF-8 become U+FFFD.
func parseFieldLine(_ line: UnsafeRawBufferPointer) throws(HTTPParsingError) -> (name: String, value: String) {
    if let first = line.first, first == 0x20 || first == 0x09 { throw .obsoleteFolding }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else { throw .malformedField }
    guard line[..<colon].allSatisfy(isTokenCharacter) else { throw .malformedField }
    var start = colon + 1
    var end = line.count
    while start < end, line[start] == 0x20 || line[start] == 0x09 { start += 1 }
    while end > start, line[end - 1] == 0x20 || line[end - 1] == 0x09 { end -= 1 }
    guard line[start..<end].allSatisfy(isFieldValueCharacter) else { throw .malformedField }
    return (text(line, 0..<colon), text(line, start..<end))
}

func text(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> String {
    String(decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
}

/// `HTTP/1.x`: the minor version. Other major versions are refused as unsupported.
func parseVersion(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(HTTPParsingError) -> Int {
    let prefix: StaticString = "HTTP/"
    guard bytes.count >= offset + 8 else { throw .malformedStartLine }
    for index in 0..<5 where bytes[offset + index] != prefix.utf8Start[index] { throw .malformedStartLine }
    let major = bytes[offset + 5]
    let minor = bytes[offset + 7]
    guard case 48...57 = major, bytes[offset + 6] == UInt8(ascii: "."), case 48...57 = minor else {
        throw .malformedStartLine
    }
    guard major == UInt8(ascii: "1") else { throw .unsupportedVersion }
    return Int(minor - 48)
}
