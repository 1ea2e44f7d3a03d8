import Base
import STUN
import Testing

@Suite struct STUNStreamFramerTests {
    static let framer = STUNStreamFramer(maxMessageByteCount: 1500)

    static func channelData(_ count: Int) -> [UInt8] {
        [0x40, 0x01, UInt8(count >> 8), UInt8(count & 0xFF)] + (0..<count).map { UInt8($0 & 0xFF) }
    }

    static func padding(_ count: Int) -> [UInt8] { Array(repeating: 0, count: -count & 3) }

    /// Messages of both kinds, whichever way the stream is cut.
    @Test(arguments: [1, 2, 3, 4, 5, 7, 19, 20, 21, 64, 4096])
    func messagesInPieces(size: Int) throws {
        var stream: [UInt8] = []
        var messages: [[UInt8]] = []
        for count in 0..<9 {
            let message = STUNMessageTests.message { $0.append(.data, bytes: Array(repeating: 9, count: count)) }
            let data = Self.channelData(count)
            messages += [message, data]
            stream += message + data + Self.padding(count)
        }
        var held: [UInt8] = []
        var found: [[UInt8]] = []
        while !stream.isEmpty {
            held += stream.prefix(size)
            stream.removeFirst(min(size, stream.count))
            while let frame = try Self.framer.next(held.span.bytes) {
                found.append(Array(held[..<frame.messageByteCount]))
                held.removeFirst(frame.byteCount)
            }
        }
        #expect(found == messages)
        #expect(held.isEmpty)
    }

    /// A channel's bytes are handed on only with their padding, which belongs to the message.
    @Test func paddingIsWaitedFor() throws {
        let data = Self.channelData(5)
        for count in 0..<12 {
            let bytes = Array((data + [0, 0, 0])[..<count])
            expectEqual(try Self.framer.next(bytes.span.bytes), nil)
        }
        let whole = data + [0, 0, 0]
        let frame = try #require(try Self.framer.next(whole.span.bytes))
        #expect(frame.messageByteCount == 9 && frame.byteCount == 12)
    }

    @Test(
        arguments: [
            ([0x80], .notSTUN), (Array("GET / HTTP/1.1".utf8), .channelTooLong), ([0x16, 0x03, 0x01], .notSTUN),
            ([0x00, 0x01, 0x00, 0x02], .badLength), ([0x00, 0x01, 0x05, 0xD0], .tooLong),
            ([0x40, 0x00, 0x05, 0xD9], .tooLong), ([0x00, 0x01, 0, 0, 0x21, 0x12, 0xA4, 0x43], .notSTUN),
        ] as [([UInt8], Malformed)])
    func malformed(bytes: [UInt8], kind: Malformed) {
        #expect(throws: kind.error) { _ = try Self.framer.next(bytes.span.bytes) }
    }

    /// `GET ` is a channel number and a length beyond every bound.
    enum Malformed: Sendable {
        case notSTUN, badLength, tooLong, channelTooLong

        var error: STUNError {
            switch self {
            case .notSTUN: .notSTUN
            case .badLength: .badLength
            case .tooLong, .channelTooLong: .tooLong
            }
        }
    }

    /// The bound itself is allowed.
    @Test(arguments: [[0x00, 0x01, 0x05, 0xC8], [0x40, 0x00, 0x05, 0xD8]] as [[UInt8]])
    func longest(head: [UInt8]) throws {
        expectEqual(try Self.framer.next(head.span.bytes), nil)
    }
}
