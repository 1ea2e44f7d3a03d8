/// Finds the end of a message's head among the bytes that came so far, looking at each byte once, and refuses line
/// breaks other than CRLF on the way.
struct HeadScanner {
    private let limits: HTTPHeadLimits
    private var scanned = 0
    private var lineStart = 0
    /// Lines that are whole, without the empty one.
    private(set) var lines = 0

    init(limits: HTTPHeadLimits) {
        self.limits = limits
    }

    /// - Parameter bytes: everything from the head's first byte on; more of it at each call.
    /// - Returns: the number of bytes of the head with its empty line, or nil when more is needed.
    mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(HTTPParsingError) -> Int? {
        let end = min(bytes.count, limits.maxBytes)
        while true {
            scanned = firstControl(in: bytes, from: scanned, to: end)
            guard scanned < end else { break }
            switch bytes[scanned] {
            case UInt8(ascii: "\n"): throw .bareLineBreak
            case UInt8(ascii: "\r"):
                guard scanned + 1 < end else { return try more(than: bytes.count) }
                guard bytes[scanned + 1] == UInt8(ascii: "\n") else { throw .bareLineBreak }
                let isEmptyLine = scanned == lineStart
                scanned += 2
                lineStart = scanned
                if isEmptyLine { return scanned }
                lines += 1
                if lines > limits.maxFields + 1 { throw .tooManyFields }
            default: scanned += 1
            }
        }
        return try more(than: bytes.count)
    }

    private func more(than count: Int) throws(HTTPParsingError) -> Int? {
        if count >= limits.maxBytes { throw lines == 0 ? .startLineTooLong : .headTooLarge }
        return nil
    }
}

/// The lines of a complete head.
struct HeadLines {
    /// Without its CRLF.
    let startLine: UnsafeRawBufferPointer
    private let fieldLines: UnsafeRawBufferPointer
    private let fieldCount: Int

    /// - Parameters:
    ///   - bytes: a head whose lines all end in CRLF, as the scanner proved.
    ///   - lines: how many there are, without the empty one.
    init(_ bytes: UnsafeRawBufferPointer, lines: Int) {
        var end = 0
        while bytes[end] != UInt8(ascii: "\r") { end = firstControl(in: bytes, from: end + 1, to: bytes.count) }
        startLine = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        fieldLines = UnsafeRawBufferPointer(rebasing: bytes[min(end + 2, bytes.count)...])
        fieldCount = max(0, lines - 1)
    }

    /// The field lines up to the empty one (RFC 9112 section 5).
    func fields(_ framing: inout FramingFields) throws(HTTPParsingError) -> HTTPFields {
        HTTPFields(try FieldLines(fieldLines, count: fieldCount, framing: &framing))
    }
}

/// `name ":" OWS value OWS`. Bytes above ASCII that are not UTF-8 become U+FFFD.
func parseFieldLine(_ line: UnsafeRawBufferPointer) throws(HTTPParsingError) -> (name: String, value: String) {
    let found = try FieldLine(in: line, at: 0)
    guard found.end == line.count else { throw .malformedField }
    return (text(line, found.name), text(line, found.value))
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
