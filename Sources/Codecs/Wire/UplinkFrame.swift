import Base

/// One frame of the uplink: a length of 32 bits (of all that follows), a kind of 8 bits, a request id of 64 bits, and a
/// message in the protobuf wire format. Integers are in network byte order. The id is 0 for notices.
public enum UplinkFrame: Equatable, Sendable {
    case request(id: UInt64, UplinkRequest)
    case response(id: UInt64, UplinkResponse)
    case edgeNotice(EdgeNotice)
    case centralNotice(CentralNotice)

    /// What the kind tells even of a message that this version does not know.
    public enum Group: Equatable, Sendable {
        case request, response, notice
    }

    /// The head of a frame, of which the body may be anything.
    public struct Head: Equatable, Sendable {
        public static let byteCount = 13

        /// Bytes of the body.
        public var bodyBytes: Int
        public var kind: UInt8
        public var requestID: UInt64

        public var group: Group {
            switch kind {
            case 0..<0x40: .request
            case 0x40..<0x80: .response
            default: .notice
            }
        }

        /// Reads the 13 bytes of a head.
        ///
        /// - Throws: `tooLarge` when the frame exceeds `WireLimits.maxUplinkFrameBytes`, `malformed` when the bytes are
        ///   fewer or the length is shorter than the head.
        public init(_ bytes: [UInt8]) throws(WireError) {
            guard bytes.count >= Self.byteCount else { throw .malformed }
            let span = bytes.span.bytes
            let length = Int(span.bigEndian(at: 0, as: UInt32.self))
            guard length >= Self.byteCount - 4 else { throw .malformed }
            guard length + 4 <= WireLimits.maxUplinkFrameBytes else {
                throw .tooLarge(field: "frame", limit: WireLimits.maxUplinkFrameBytes)
            }
            bodyBytes = length + 4 - Self.byteCount
            kind = bytes[4]
            requestID = span.bigEndian(at: 5, as: UInt64.self)
        }
    }

    /// Kinds are the protocol: below 0x40 requests, then their responses, then notices of edges, then of the central.
    enum Kind: UInt8 {
        case hello = 0x01
        case sessionOpen = 0x02
        case mediaRegister = 0x03
        case mediaLookup = 0x04
        case mediaGrant = 0x05
        case mediaRelease = 0x06
        case ping = 0x07
        case helloAck = 0x41
        case sessionOpened = 0x42
        case mediaRegistered = 0x43
        case mediaFound = 0x44
        case ok = 0x45
        case pong = 0x47
        case failed = 0x7F
        case edgeSessionFrame = 0x81
        case edgeSessionClose = 0x82
        case mediaHold = 0x83
        case centralSessionFrame = 0xC1
        case centralSessionClose = 0xC2
        case mediaPurge = 0xC3
        case edges = 0xC4
    }

    /// The bytes of the frame, ready to be sent.
    ///
    /// - Throws: `tooLarge` when they exceed `WireLimits.maxUplinkFrameBytes`.
    public func encoded() throws(WireError) -> [UInt8] {
        let (kind, id) = (self.kind, requestID)
        var writer = ProtobufWriter()
        write(to: &writer)
        let body = writer.bytes
        guard body.count + Head.byteCount <= WireLimits.maxUplinkFrameBytes else {
            throw .tooLarge(field: "frame", limit: WireLimits.maxUplinkFrameBytes)
        }
        var frame: [UInt8] = []
        frame.reserveCapacity(Head.byteCount + body.count)
        frame.append(bigEndian: UInt32(Head.byteCount - 4 + body.count))
        frame.append(kind.rawValue)
        frame.append(bigEndian: id)
        frame += body
        return frame
    }

    private var requestID: UInt64 {
        switch self {
        case .request(let id, _), .response(let id, _): id
        case .edgeNotice, .centralNotice: 0
        }
    }

    /// Reads the body that follows a head.
    ///
    /// - Throws: `unknownType` for a kind that this version does not know.
    public init(_ head: Head, body: [UInt8]) throws(WireError) {
        guard let kind = Kind(rawValue: head.kind) else { throw .unknownType("\(head.kind)", allowed: []) }
        self = try Self.message(kind, id: head.requestID, ProtobufReader(body[...]))
    }
}
