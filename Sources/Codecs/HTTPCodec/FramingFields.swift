/// What the fields that steer a message and its connection say: noted while the lines are read, judged when all are known.
struct FramingFields {
    private(set) var hosts = 0
    private(set) var hasInvalidHost = false
    private(set) var expectations = 0
    private(set) var hasUnknownExpectation = false
    private var codings = 0
    private var isChunked = false
    private var lengths = 0
    private var length: Int?
    private var closes = false
    private var keeps = false

    mutating func note(_ bytes: UnsafeRawBufferPointer, _ line: FieldLine) {
        let name = UnsafeRawBufferPointer(rebasing: bytes[line.name])
        var value: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[line.value]) }
        switch name.count {
        case 4 where equalsIgnoringCase(name, "host"):
            hosts += 1
            if !isHost(value) { hasInvalidHost = true }
        case 6 where equalsIgnoringCase(name, "expect"):
            expectations += 1
            if !equalsIgnoringCase(value, "100-continue") { hasUnknownExpectation = true }
        case 10 where equalsIgnoringCase(name, "connection"):
            noteConnection(value)
        case 14 where equalsIgnoringCase(name, "content-length"):
            lengths += 1
            length = Self.contentLength(value)
        case 17 where equalsIgnoringCase(name, "transfer-encoding"):
            codings += 1
            isChunked = equalsIgnoringCase(value, "chunked")
        default: break
        }
    }

    private mutating func noteConnection(_ value: UnsafeRawBufferPointer) {
        var start = 0
        while start <= value.count {
            let end = value[start...].firstIndex(of: UInt8(ascii: ",")) ?? value.count
            var (first, last) = (start, end)
            while first < last, value[first] == 0x20 || value[first] == 0x09 { first += 1 }
            while last > first, value[last - 1] == 0x20 || value[last - 1] == 0x09 { last -= 1 }
            let member = UnsafeRawBufferPointer(rebasing: value[first..<last])
            if equalsIgnoringCase(member, "close") { closes = true }
            if equalsIgnoringCase(member, "keep-alive") { keeps = true }
            start = end + 1
        }
    }

    /// What Transfer-Encoding and Content-Length say, or nil when there is neither (RFC 9112 section 6.3).
    func declaredBody(isHTTP10: Bool) throws(HTTPParsingError) -> HTTPBodyFraming? {
        if codings > 0 {
            guard lengths == 0, !isHTTP10 else { throw .ambiguousFraming }
            guard codings == 1, isChunked else { throw .unsupportedTransferCoding }
            return .chunked
        }
        guard lengths > 0 else { return nil }
        guard lengths == 1, let length else { throw .invalidContentLength }
        return .length(length)
    }

    /// What `Connection` says about the connection's life, by the version's default (RFC 9112 section 9.3).
    func keepsAlive(isHTTP10: Bool) -> Bool { !closes && (!isHTTP10 || keeps) }

    /// Digits alone; 18 of them fit.
    private static func contentLength(_ text: UnsafeRawBufferPointer) -> Int? {
        guard (1...18).contains(text.count) else { return nil }
        var count = 0
        for byte in text {
            guard case 48...57 = byte else { return nil }
            count = count * 10 + Int(byte - 48)
        }
        return count
    }
}
