import CNGHTTP2
import HTTP
import Runtime

/// A client that writes frames by hand, so that it can break every rule; only HPACK's decoding is libnghttp2's.
///
/// `@unchecked Sendable`: used by one task on the stream's loop.
final class HTTP2TestClient: @unchecked Sendable {
    struct Frame {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]

        var isEnd: Bool { (type == 0 || type == 1) && flags & 1 != 0 }
    }

    /// What came on a stream until its end or its reset.
    struct Answer: Equatable {
        var status = 0
        var fields: [String: String] = [:]
        var interim: [Int] = []
        var body: [UInt8] = []
        /// The code of RST_STREAM; nil when the answer ended.
        var reset: UInt32?
    }

    struct Ended: Error {}

    static let calmDown: UInt32 = 11
    let stream: ByteStream
    private let inflater: OpaquePointer

    init(_ stream: ByteStream, settings: [(UInt16, UInt32)] = []) async throws {
        self.stream = stream
        var created: OpaquePointer?
        guard nghttp2_hd_inflate_new(&created) == 0, let created else { preconditionFailure("no memory") }
        inflater = created
        try await stream.send(
            Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
                + Self.frame(4, payload: settings.flatMap { bytes($0.0) + bytes($0.1) }))
    }

    deinit { nghttp2_hd_inflate_del(inflater) }

    // MARK: Sending

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, payload: [UInt8] = []) -> [UInt8] {
        Array(bytes(UInt32(payload.count)).dropFirst()) + [type, flags] + bytes(stream) + payload
    }

    /// Fields as literals without indexing (RFC 7541 section 6.2.2).
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        func string(_ text: String) -> [UInt8] {
            let count = text.utf8.count
            if count < 127 { return [UInt8(count)] + text.utf8 }
            var rest = count - 127
            var prefix: [UInt8] = [127]
            while rest >= 128 {
                prefix.append(UInt8(rest % 128 + 128))
                rest /= 128
            }
            return prefix + [UInt8(rest)] + text.utf8
        }
        return fields.flatMap { [0] + string($0.0) + string($0.1) }
    }

    static func request(_ method: String, _ path: String, _ more: [(String, String)] = []) -> [(String, String)] {
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")] + more
    }

    func send(_ type: UInt8, flags: UInt8 = 0, stream id: UInt32 = 0, payload: [UInt8] = []) async throws {
        try await stream.send(Self.frame(type, flags: flags, stream: id, payload: payload))
    }

    func headers(_ id: UInt32, _ fields: [(String, String)], ends: Bool = true) async throws {
        try await send(1, flags: ends ? 5 : 4, stream: id, payload: Self.block(fields))
    }

    func data(_ id: UInt32, _ payload: [UInt8], ends: Bool = true) async throws {
        try await send(0, flags: ends ? 1 : 0, stream: id, payload: payload)
    }

    // MARK: Receiving

    /// The next frame; settings are acknowledged on the way.
    ///
    /// - Throws: `Ended` at the end of the connection.
    func next() async throws -> Frame {
        while true {
            while stream.inbound.count < 9 { try await more() }
            let count = stream.inbound.withBytes { Int($0[0]) << 16 | Int($0[1]) << 8 | Int($0[2]) }
            while stream.inbound.count < 9 + count { try await more() }
            let head = stream.inbound.take(9)
            let id = head[5...8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let frame = Frame(type: head[3], flags: head[4], stream: id, payload: stream.inbound.take(count))
            guard frame.type == 4 else { return frame }
            if frame.flags & 1 == 0 { try await send(4, flags: 1) }
        }
    }

    private func more() async throws {
        guard try await stream.receive() else { throw Ended() }
    }

    /// What comes on some streams until each has ended; frames of others are dropped.
    func answers(_ ids: [UInt32]) async throws -> [UInt32: Answer] {
        var answers: [UInt32: Answer] = [:]
        var open = Set(ids)
        while !open.isEmpty {
            let frame = try await next()
            guard open.contains(frame.stream) else { continue }
            var answer = answers[frame.stream] ?? Answer()
            switch frame.type {
            case 0: answer.body += frame.payload
            case 1:
                let fields = decode(frame.payload)
                let status = fields[":status"].flatMap { Int($0) } ?? 0
                if (100..<200).contains(status) {
                    answer.interim.append(status)
                } else {
                    answer.status = status
                    answer.fields = fields
                }
            case 3: answer.reset = number(frame.payload)
            default: break
            }
            if frame.isEnd || frame.type == 3 { open.remove(frame.stream) }
            answers[frame.stream] = answer
        }
        return answers
    }

    func answer(_ id: UInt32) async throws -> Answer { try await answers([id])[id] ?? Answer() }

    func get(_ id: UInt32, _ path: String) async throws -> Answer {
        try await headers(id, Self.request("GET", path))
        return try await answer(id)
    }

    /// The code of GOAWAY, and the last stream that it names; nil if the connection ends without one.
    func goAway() async throws -> (code: UInt32, lastStream: UInt32)? {
        do {
            while true {
                let frame = try await next()
                if frame.type == 7 { return (number(Array(frame.payload[4...7])), number(frame.payload)) }
            }
        } catch is Ended {
            return nil
        }
    }

    private func decode(_ block: [UInt8]) -> [String: String] {
        var fields: [String: String] = [:]
        var block = block
        var offset = 0
        while offset <= block.count {
            var pair = nghttp2_nv()
            var flags: Int32 = 0
            let count = block.count
            let taken = block.withUnsafeMutableBufferPointer {
                nghttp2_hd_inflate_hd2(inflater, &pair, &flags, $0.baseAddress.map { $0 + offset }, count - offset, 1)
            }
            guard taken >= 0 else { break }
            offset += taken
            if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                let name = String(decoding: UnsafeBufferPointer(start: pair.name, count: pair.namelen), as: UTF8.self)
                let value = String(
                    decoding: UnsafeBufferPointer(start: pair.value, count: pair.valuelen), as: UTF8.self)
                fields[name] = value
            }
            if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 { break }
        }
        nghttp2_hd_inflate_end_headers(inflater)
        return fields
    }
}

/// Big-endian, as integers go over the wire.
func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

func number(_ bytes: [UInt8]) -> UInt32 { bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF }
