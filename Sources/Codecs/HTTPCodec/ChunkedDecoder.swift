/// Takes the chunked transfer coding apart (RFC 9112 section 7.1). Extensions are skipped and trailers dropped, both
/// within bounds; their syntax is checked all the same.
public struct ChunkedDecoder {
    public enum Step: Equatable, Sendable {
        /// Bytes of the body, as a range of what was shown.
        case data(Range<Int>)
        /// The body and its trailers are over.
        case end
        case needsMore
    }

    private enum State {
        case sizeFirst
        case size
        case extensions
        case sizeLineFeed
        case data
        case dataCarriageReturn
        case dataLineFeed
        case trailerLine
        case trailerLineFeed
        case ended
    }

    /// All extensions of one body together; nobody sends any, and an endless row of them is an attack.
    private static let maxExtensionBytes = 4096
    private static let maxTrailerBytes = 8192

    private var state = State.sizeFirst
    private var remaining = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    private var trailer: [UInt8] = []

    public init() {}

    /// Goes on at `offset` and moves it behind what it has dealt with. Call it until it says `end` or `needsMore`, then
    /// drop the bytes before `offset` and show what follows, from its beginning.
    public mutating func next(
        in bytes: UnsafeRawBufferPointer, from offset: inout Int
    ) throws(HTTPParsingError) -> Step {
        while true {
            if state == .ended { return .end }
            guard offset < bytes.count else { return .needsMore }
            if state == .data {
                let count = min(remaining, bytes.count - offset)
                let range = offset..<(offset + count)
                offset += count
                remaining -= count
                if remaining == 0 { state = .dataCarriageReturn }
                return .data(range)
            }
            try advance(over: bytes[offset])
            offset += 1
        }
    }

    private mutating func advance(over byte: UInt8) throws(HTTPParsingError) {
        switch state {
        case .sizeFirst:
            guard let digit = hexadecimalValue(byte) else { throw .malformedChunk }
            remaining = Int(digit)
            state = .size
        case .size:
            if let digit = hexadecimalValue(byte) {
                guard remaining < 1 << 56 else { throw .malformedChunk }
                remaining = remaining << 4 | Int(digit)
            } else if byte == UInt8(ascii: ";") {
                state = .extensions
            } else if byte == UInt8(ascii: "\r") {
                state = .sizeLineFeed
            } else {
                throw .malformedChunk
            }
        case .extensions:
            if byte == UInt8(ascii: "\r") {
                state = .sizeLineFeed
            } else {
                extensionBytes += 1
                guard isFieldValueCharacter(byte), extensionBytes <= Self.maxExtensionBytes else {
                    throw .malformedChunk
                }
            }
        case .sizeLineFeed:
            guard byte == UInt8(ascii: "\n") else { throw .malformedChunk }
            state = remaining == 0 ? .trailerLine : .data
        case .dataCarriageReturn:
            guard byte == UInt8(ascii: "\r") else { throw .malformedChunk }
            state = .dataLineFeed
        case .dataLineFeed:
            guard byte == UInt8(ascii: "\n") else { throw .malformedChunk }
            state = .sizeFirst
        case .trailerLine:
            if byte == UInt8(ascii: "\r") {
                state = .trailerLineFeed
            } else {
                trailerBytes += 1
                guard byte != UInt8(ascii: "\n") else { throw .bareLineBreak }
                guard trailerBytes <= Self.maxTrailerBytes else { throw .trailersTooLarge }
                trailer.append(byte)
            }
        case .trailerLineFeed:
            guard byte == UInt8(ascii: "\n") else { throw .bareLineBreak }
            if trailer.isEmpty {
                state = .ended
            } else {
                try checkTrailer()
                trailer.removeAll(keepingCapacity: true)
                state = .trailerLine
            }
        case .data, .ended:
            preconditionFailure("handled before")
        }
    }

    private func checkTrailer() throws(HTTPParsingError) {
        let result = trailer.withUnsafeBytes { line in
            Result { () throws(HTTPParsingError) in try parseFieldLine(line) }
        }
        _ = try result.get()
    }
}
