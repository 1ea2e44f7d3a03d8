/// How much a chunked body may carry beside its data.
public struct HTTPChunkLimits: Equatable, Sendable {
    /// All extensions of one body together; nobody sends any, and an endless row of them is an attack.
    public var maxExtensionBytes: Int
    /// All trailer lines together, without their line breaks.
    public var maxTrailerBytes: Int
    public var maxTrailerFields: Int

    public init(maxExtensionBytes: Int = 4096, maxTrailerBytes: Int = 8192, maxTrailerFields: Int = 32) {
        self.maxExtensionBytes = maxExtensionBytes
        self.maxTrailerBytes = maxTrailerBytes
        self.maxTrailerFields = maxTrailerFields
    }
}

/// Takes the chunked transfer coding apart (RFC 9112 section 7.1). Extensions are checked and skipped, trailers kept, both
/// within bounds.
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

    /// 15 digits: no size overflows, and zeros in front do not go on for ever.
    private static let maxSizeDigits = 15

    /// The fields behind the last chunk; whole at `end`.
    public private(set) var trailers = HTTPFields()

    private let limits: HTTPChunkLimits
    private var state = State.sizeFirst
    private var remaining = 0
    private var sizeDigits = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    private var trailer: [UInt8] = []

    public init(limits: HTTPChunkLimits = HTTPChunkLimits()) {
        self.limits = limits
    }

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
            sizeDigits = 1
            state = .size
        case .size:
            if let digit = hexadecimalValue(byte) {
                sizeDigits += 1
                guard sizeDigits <= Self.maxSizeDigits else { throw .malformedChunk }
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
                guard isFieldValueCharacter(byte), extensionBytes <= limits.maxExtensionBytes else {
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
                guard trailerBytes <= limits.maxTrailerBytes else { throw .trailersTooLarge }
                trailer.append(byte)
            }
        case .trailerLineFeed:
            guard byte == UInt8(ascii: "\n") else { throw .bareLineBreak }
            if trailer.isEmpty {
                state = .ended
            } else {
                try keepTrailer()
                trailer.removeAll(keepingCapacity: true)
                state = .trailerLine
            }
        case .data, .ended:
            preconditionFailure("handled before")
        }
    }

    private mutating func keepTrailer() throws(HTTPParsingError) {
        guard trailers.count < limits.maxTrailerFields else { throw .trailersTooLarge }
        let (name, value) = try trailer.withUnsafeBytes { line in
            Result { () throws(HTTPParsingError) in try parseFieldLine(line) }
        }.get()
        guard !isForbiddenInTrailers(name) else { throw .forbiddenTrailer }
        trailers.append(name: name, value: value)
    }
}

/// Fields that frame, route, authenticate or describe a message are too late behind its body, and whoever merged them
/// into the head would take them for more than they are (RFC 9110 section 6.5.1).
private func isForbiddenInTrailers(_ name: String) -> Bool {
    forbiddenInTrailers.contains { equalsIgnoringCase($0, name) }
}

private let forbiddenInTrailers = [
    "Transfer-Encoding", "Content-Length", "Host", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "TE",
    "Trailer", "Expect", "Max-Forwards", "Range", "Authorization", "Proxy-Authorization", "Proxy-Authenticate",
    "WWW-Authenticate", "Cookie", "Set-Cookie", "Content-Encoding", "Content-Type", "Content-Range", "Cache-Control",
    "Age", "Date", "Expires", "Location", "Retry-After", "Vary", "If-Match", "If-None-Match", "If-Modified-Since",
    "If-Unmodified-Since", "If-Range",
]
