/// The ways in which a stream's bytes may arrive: whole, in pieces of several sizes, byte by byte.
public func arrivals(of input: [UInt8]) -> [[[UInt8]]] {
    let sizes = [max(input.count, 1), 1, 2, 3, 7, 16, 61]
    return sizes.map { size in
        stride(from: 0, to: input.count, by: size).map { Array(input[$0..<min($0 + size, input.count)]) }
    }
}

/// Feeds a decoder of streams in every way of arriving, and returns what came out of each; all must be equal.
///
/// - Parameter decode: makes a new decoder and shows it the buffered bytes each time that more have arrived. It removes
///   what the decoder has dealt with from the buffer, and returns false when nothing more shall come.
public func outcomes<Output>(
    of input: [UInt8], decoding makeDecoder: () -> (_ buffer: inout [UInt8], _ output: inout [Output]) -> Bool
) -> [[Output]] {
    arrivals(of: input).map { outcome(of: $0, makeDecoder()) }
}

/// What comes out of a decoder of streams that is fed these pieces.
public func outcome<Output>(
    of pieces: [[UInt8]], _ decode: (_ buffer: inout [UInt8], _ output: inout [Output]) -> Bool
) -> [Output] {
    var buffer: [UInt8] = []
    var output: [Output] = []
    for piece in pieces {
        buffer += piece
        guard decode(&buffer, &output) else { break }
    }
    return output
}
