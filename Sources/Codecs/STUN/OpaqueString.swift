// Normalisation is in the standard library, for the comparison of strings; there is no other way to it without Foundation.
@_spi(_Unicode) import Swift

/// The OpaqueString profile of RFC 8265 section 4.2, which user names and passwords are brought to before keys are made of
/// them: what two keyboards make of one text is then the same.
public enum OpaqueString {
    /// The text with every space a U+0020, in Unicode's normalisation form C.
    ///
    /// - Returns: nil if it is empty or has a character that the profile refuses: controls, unassigned and invisible ones, and
    ///   those that RFC 5892 appendix A allows in a context that is not there. A zero-width non-joiner is allowed behind a
    ///   virama only.
    public static func prepare(_ text: String) -> String? {
        var mapped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            mapped.append(scalar.properties.generalCategory == .spaceSeparator ? " " : scalar)
        }
        var prepared = String.UnicodeScalarView()
        prepared.append(contentsOf: String(mapped)._nfc)
        let scalars = Array(prepared)
        guard !scalars.isEmpty, scalars.indices.allSatisfy({ isAllowed($0, in: scalars) }) else { return nil }
        return String(prepared)
    }

    /// Whether the FreeformClass of RFC 8264 section 4.3 has the character where it stands.
    private static func isAllowed(_ index: Int, in scalars: [Unicode.Scalar]) -> Bool {
        let scalar = scalars[index]
        if scalar.isASCII { return (0x20...0x7E).contains(scalar.value) }
        if let verdict = isAllowedInContext(index, in: scalars) { return verdict }
        let properties = scalar.properties
        guard !properties.isDefaultIgnorableCodePoint, !properties.isNoncharacterCodePoint,
            !oldHangulJamo.contains(where: { $0.contains(scalar.value) })
        else { return false }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return false
        default: return true
        }
    }

    /// RFC 5892 appendix A; nil for a character that has no rule there.
    private static func isAllowedInContext(_ index: Int, in scalars: [Unicode.Scalar]) -> Bool? {
        let before = index > 0 ? scalars[index - 1] : nil
        let after = index + 1 < scalars.count ? scalars[index + 1] : nil
        switch scalars[index].value {
        case 0x200C, 0x200D: return before?.properties.canonicalCombiningClass == .virama
        case 0x00B7: return before == "l" && after == "l"
        case 0x0375: return after.map { isIn($0, greek) } ?? false
        case 0x05F3, 0x05F4: return before.map { isIn($0, hebrew) } ?? false
        case 0x30FB: return scalars.contains { isIn($0, japanese) }
        case 0x0660...0x0669: return !scalars.contains { (0x06F0...0x06F9).contains($0.value) }
        case 0x06F0...0x06F9: return !scalars.contains { (0x0660...0x0669).contains($0.value) }
        default: return nil
        }
    }

    private static func isIn(_ scalar: Unicode.Scalar, _ script: [ClosedRange<UInt32>]) -> Bool {
        script.contains { $0.contains(scalar.value) }
    }

    /// Blocks of the scripts that the rules name.
    private static let greek: [ClosedRange<UInt32>] = [0x0370...0x0373, 0x0376...0x03FF, 0x1F00...0x1FFF]
    private static let hebrew: [ClosedRange<UInt32>] = [0x0591...0x05F4, 0xFB1D...0xFB4F]
    private static let japanese: [ClosedRange<UInt32>] = [
        0x3041...0x3096, 0x309D...0x309F, 0x30A1...0x30FA, 0x30FD...0x30FF, 0x31F0...0x31FF, 0xFF66...0xFF9D,
        0x2E80...0x2FD5, 0x3005...0x3007, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x3134F,
    ]
    /// Conjoining jamo (RFC 8264 section 9.9).
    private static let oldHangulJamo: [ClosedRange<UInt32>] = [0x1100...0x11FF, 0xA960...0xA97C, 0xD7B0...0xD7FB]
}
