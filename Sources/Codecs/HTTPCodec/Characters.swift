// The character classes of RFC 9110 section 5.6 and RFC 9112.

@inlinable
func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"),
        UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
        UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"),
        UInt8(ascii: "|"), UInt8(ascii: "~"):
        true
    default: false
    }
}

/// Field values: visible ASCII, space, tab, and the bytes above ASCII (RFC 9110 section 5.5).
func isFieldValueCharacter(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != 0x7F || byte == 0x09
}

/// Whether text is a token (RFC 9110 section 5.6.2): a method, a field name, a subprotocol.
public func isToken(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy(isTokenCharacter)
}

/// ASCII case-insensitive comparison.
public func equalsIgnoringCase(_ left: String, _ right: String) -> Bool {
    equalsIgnoringCase(left.utf8, right.utf8)
}

/// - Parameter text: lower case.
func equalsIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
    equalsIgnoringCase(bytes, UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
}

func equalsIgnoringCase(_ left: UnsafeRawBufferPointer, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for index in 0..<left.count where !equalsIgnoringCase(left[index], right[index]) { return false }
    return true
}

func equalsIgnoringCase(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for (a, b) in zip(left, right) where !equalsIgnoringCase(a, b) { return false }
    return true
}

@inline(__always)
private func equalsIgnoringCase(_ left: UInt8, _ right: UInt8) -> Bool {
    // Letters alone differ by this bit and nothing else.
    left == right || left ^ right == 0x20 && (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(left | 0x20)
}

/// The place of the first control character (0x00 to 0x1F, 0x7F) from `start` on, or `end`.
///
/// Eight bytes at a time: a subtraction borrows into a byte's highest bit where the byte is smaller. Borrows go upwards, so
/// the lowest mark, which is the first byte in memory, is always right.
func firstControl(in bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int {
    precondition(start >= 0 && end <= bytes.count)
    let ones: UInt64 = 0x0101_0101_0101_0101
    var position = start
    while position + 8 <= end {
        let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
        let deletes = word ^ (ones &* 0x7F)
        let marks = ((word &- ones &* 0x20) & ~word | (deletes &- ones) & ~deletes) & (ones &* 0x80)
        if marks != 0 { return position + marks.trailingZeroBitCount / 8 }
        position += 8
    }
    while position < end, bytes[position] >= 0x20, bytes[position] != 0x7F { position += 1 }
    return position
}

/// Cuts spaces and tabs (OWS) at both ends.
func trimmingWhitespace(_ text: Substring.UTF8View) -> Substring.UTF8View {
    var rest = text
    while let first = rest.first, first == 0x20 || first == 0x09 { rest.removeFirst() }
    while let last = rest.last, last == 0x20 || last == 0x09 { rest.removeLast() }
    return rest
}
