/// The Range field of RFC 9110 section 14 for the unit `bytes`.
package enum ByteRangeSet: Equatable, Sendable {
    /// The whole representation: no Range, another unit, a malformed one, or more ranges than are worth it.
    case whole
    /// One or several satisfiable ranges, not empty, within the representation.
    case ranges([Range<Int64>])
    /// 416, with `Content-Range: bytes */length`.
    case unsatisfiable

    /// More ranges than this are answered with the whole representation (RFC 9110 section 14.2 allows it).
    package static let maximumRanges = 16

    /// - Parameter length: the representation's length in bytes.
    package init(field: String?, length: Int64) {
        self = .whole
        guard let field, let equals = field.firstIndex(of: "="),
            trimmed(field[..<equals]).lowercased() == "bytes"
        else { return }
        var ranges: [Range<Int64>] = []
        var count = 0
        for item in field[field.index(after: equals)...].split(separator: ",", omittingEmptySubsequences: true) {
            let item = trimmed(item)
            if item.isEmpty { continue }
            count += 1
            guard count <= Self.maximumRanges, let dash = item.firstIndex(of: "-") else { return }
            guard let first = position(item[..<dash]), let last = position(item[item.index(after: dash)...]) else {
                return
            }
            switch (first, last) {
            case (.none, .none): return
            case (.none, .some(let suffix)):
                if suffix == 0 { continue }
                if length == 0 { return }
                ranges.append(max(0, length - suffix)..<length)
            case (.some(let first), let last):
                if let last, last < first { return }
                if first >= length { continue }
                ranges.append(first..<min(length - 1, last ?? .max) + 1)
            }
        }
        if count == 0 { return }
        self = ranges.isEmpty ? .unsatisfiable : .ranges(Self.coalesced(ranges))
    }

    /// Ranges that overlap or nearly touch are joined; a separate part would cost more than the gap.
    private static func coalesced(_ ranges: [Range<Int64>]) -> [Range<Int64>] {
        let gap: Int64 = 128
        let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
        var joined: [Range<Int64>] = []
        for range in sorted {
            if let last = joined.last, range.lowerBound <= last.upperBound + gap {
                joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined.count == ranges.count ? ranges : joined
    }
}

private func trimmed(_ text: Substring) -> Substring {
    var text = text
    while text.first == " " || text.first == "\t" { text.removeFirst() }
    while text.last == " " || text.last == "\t" { text.removeLast() }
    return text
}

/// An absent position is `.some(nil)`; nil is malformed. Numbers too large to hold are as large as can be.
private func position(_ digits: Substring) -> Int64?? {
    if digits.isEmpty { return .some(nil) }
    guard digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return .some(Int64(digits) ?? .max)
}
