/// The field lines of a head as a parser found them: one array, of a table that says where names and values stand, and
/// behind it the bytes of the lines.
struct FieldLines: Sendable {
    /// Where a name and its value stand in `bytes`.
    struct Place {
        var nameStart: UInt32
        var nameEnd: UInt32
        var valueStart: UInt32
        var valueEnd: UInt32

        var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
        var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
    }

    let count: Int
    private let bytes: [UInt8]

    /// Reads the lines up to the empty one (RFC 9112 section 5), and what they say about the message.
    ///
    /// - Parameters:
    ///   - source: field lines that all end in CRLF, with an empty one behind them, as the scanner proved.
    ///   - count: how many they are.
    init(_ source: UnsafeRawBufferPointer, count: Int, framing: inout FramingFields) throws(HTTPParsingError) {
        let table = count * MemoryLayout<Place>.stride
        var failure: HTTPParsingError?
        self.count = count
        bytes = [UInt8](unsafeUninitializedCapacity: table + source.count) { output, initialized in
            let output = UnsafeMutableRawBufferPointer(output)
            do throws(HTTPParsingError) {
                var position = 0
                for index in 0..<count {
                    let line = try FieldLine(in: source, at: position)
                    framing.note(source, line)
                    output.storeBytes(of: line.place(after: table), toByteOffset: index * 16, as: Place.self)
                    position = line.end + 2
                }
                UnsafeMutableRawBufferPointer(rebasing: output[table...]).copyMemory(from: source)
                initialized = output.count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    func name(at index: Int) -> String {
        bytes.withUnsafeBytes { text($0, Self.place($0, index).name) }
    }

    /// Bytes above ASCII that are not UTF-8 become U+FFFD.
    func value(at index: Int) -> String {
        bytes.withUnsafeBytes { text($0, Self.place($0, index).value) }
    }

    func isNamed(_ name: String, at index: Int) -> Bool {
        bytes.withUnsafeBytes { bytes in
            let range = Self.place(bytes, index).name
            guard range.count == name.utf8.count else { return false }
            var name = name
            return name.withUTF8 { equalsIgnoringCase(UnsafeRawBufferPointer(rebasing: bytes[range]), $0) }
        }
    }

    private static func place(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Place {
        bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Place>.stride, as: Place.self)
    }
}

/// `name ":" OWS value OWS` within a head.
struct FieldLine {
    let name: Range<Int>
    let value: Range<Int>
    /// Where its CR stands, or where the bytes end.
    let end: Int

    init(in bytes: UnsafeRawBufferPointer, at start: Int) throws(HTTPParsingError) {
        var position = start
        while position < bytes.count, isTokenCharacter(bytes[position]) { position += 1 }
        guard position > start, position < bytes.count, bytes[position] == UInt8(ascii: ":") else {
            if start < bytes.count, bytes[start] == 0x20 || bytes[start] == 0x09 { throw .obsoleteFolding }
            throw .malformedField
        }
        name = start..<position
        position += 1
        while position < bytes.count, bytes[position] == 0x20 || bytes[position] == 0x09 { position += 1 }
        let valueStart = position
        while true {
            position = firstControl(in: bytes, from: position, to: bytes.count)
            guard position < bytes.count, bytes[position] != UInt8(ascii: "\r") else { break }
            guard bytes[position] == 0x09 else { throw .malformedField }
            position += 1
        }
        end = position
        while position > valueStart, bytes[position - 1] == 0x20 || bytes[position - 1] == 0x09 { position -= 1 }
        value = valueStart..<position
    }

    fileprivate func place(after offset: Int) -> FieldLines.Place {
        FieldLines.Place(
            nameStart: UInt32(offset + name.lowerBound), nameEnd: UInt32(offset + name.upperBound),
            valueStart: UInt32(offset + value.lowerBound), valueEnd: UInt32(offset + value.upperBound))
    }
}
