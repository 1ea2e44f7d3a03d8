import CodecTesting

/// Feeds a decoder of streams whole, in pieces and byte by byte, and states that the same comes out each time.
///
/// - Parameters:
///   - makeDecoder: makes a decoder which is shown the bytes that were not dealt with and those that have arrived since.
///     It removes what it has dealt with, and returns false when nothing more shall come.
/// - Returns: what came out.
func decodeInPieces<Output: Equatable>(
    _ input: [UInt8], _ makeDecoder: () -> (_ buffer: inout [UInt8], _ output: inout [Output]) -> Bool
) throws(BrokenProperty) -> [Output] {
    let whole = outcome(of: [input], makeDecoder())
    // Byte by byte costs the square of the length where a decoder keeps what it was shown.
    let single = input.count <= 512 ? [input.map { [$0] }] : []
    for pieces in single + [pieces(of: input, drawnFrom: 1), pieces(of: input, drawnFrom: 2)] {
        let output = outcome(of: pieces, makeDecoder())
        try holdEqual(output, whole, "in pieces of \(pieces.prefix(20).map(\.count)) and whole")
    }
    return whole
}
