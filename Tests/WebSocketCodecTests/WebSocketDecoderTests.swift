import Base
import CodecTesting
import Testing
import WebSocketCodec

@Suite struct WebSocketDecoderTests {
    enum Outcome: Equatable {
        case event(WebSocketEvent)
        case failure(WebSocketError)
    }

    private func decode(_ input: [UInt8], role: WebSocketRole = .client, max: Int = 1000) -> [Outcome] {
        let all = outcomes(of: input) {
            var decoder = WebSocketDecoder(role: role, maxMessageBytes: max)
            return { (buffer: inout [UInt8], output: inout [Outcome]) in
                var offset = 0
                let goesOn = buffer.withUnsafeBytes { bytes in
                    do throws(WebSocketError) {
                        while let event = try decoder.next(in: bytes, from: &offset) { output.append(.event(event)) }
                        return true
                    } catch {
                        output.append(.failure(error))
                        return false
                    }
                }
                buffer.removeFirst(offset)
                return goesOn
            }
        }
        for outcome in all { #expect(outcome == all[0]) }
        return all[0]
    }

    // RFC 6455 section 5.7.
    @Test func theExamplesOfTheStandard() {
        #expect(decode([0x81, 0x05] + Array("Hello".utf8)) == [.event(.text("Hello"))])
        #expect(
            decode([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58], role: .server)
                == [.event(.text("Hello"))])
        #expect(
            decode([0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]) == [.event(.text("Hello"))])
        #expect(decode([0x89, 0x05] + Array("Hello".utf8)) == [.event(.ping(Array("Hello".utf8)))])
        let long = [UInt8](repeating: 7, count: 256)
        #expect(decode([0x82, 0x7E, 0x01, 0x00] + long) == [.event(.binary(long))])
        let longer = [UInt8](repeating: 9, count: 65_536)
        #expect(
            decode([0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0] + longer, max: 65_536) == [.event(.binary(longer))])
    }

    @Test func controlFramesComeBetweenFragments() {
        let input: [UInt8] = [0x01, 0x02, 0xE2, 0x82, 0x89, 0x01, 0x21, 0x00, 0x00, 0x80, 0x01, 0xAC, 0x8A, 0x00]
        #expect(decode(input) == [.event(.ping([0x21])), .event(.text("€")), .event(.pong([]))])
    }

    @Test(arguments: [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 1000, 65_535, 65_536, 70_001])
    func whatIsWrittenIsRead(_ count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for (mask, role) in [(nil, WebSocketRole.client), (0x8123_4567, .server)] as [(UInt32?, WebSocketRole)] {
            var output: [UInt8] = []
            WebSocketFrame.append(.binary, payload: payload, mask: mask, to: &output)
            #expect(decode(output, role: role, max: 100_000) == [.event(.binary(payload))])
        }
    }

    @Test func closeFrames() {
        #expect(decode([0x88, 0x00]) == [.event(.close(code: nil, reason: ""))])
        #expect(decode([0x88, 0x04, 0x03, 0xE8, 0x6F, 0x6B]) == [.event(.close(code: 1000, reason: "ok"))])
        #expect(decode([0x88, 0x02, 0x11, 0x31]) == [.event(.close(code: 4401, reason: ""))])
        let reason = String(repeating: "a", count: 122) + "€"
        #expect(WebSocketFrame.closePayload(code: 1000, reason: reason).count == 124)
    }

    @Test(
        arguments: [
            ([0xC1, 0x00], WebSocketError.reservedBits),
            ([0x91, 0x00], .reservedBits),
            ([0x83, 0x00], .unknownOpcode),
            ([0x8B, 0x00], .unknownOpcode),
            ([0x81, 0x80, 0, 0, 0, 0], .wrongMasking),
            ([0x09, 0x00], .fragmentedControlFrame),
            ([0x89, 0x7E, 0x00, 0x7E], .controlFrameTooLarge),
            ([0x82, 0x7E, 0x00, 0x7D], .malformedLength),
            ([0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], .malformedLength),
            ([0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0], .malformedLength),
            ([0x80, 0x00], .unexpectedOpcode),
            ([0x01, 0x00, 0x81, 0x00], .unexpectedOpcode),
            ([0x88, 0x01, 0x03], .malformedClose),
            ([0x88, 0x02, 0x03, 0xED], .malformedClose),
            ([0x88, 0x02, 0x03, 0xE7], .malformedClose),
            ([0x88, 0x02, 0xFF, 0xFF], .malformedClose),
            ([0x88, 0x03, 0x03, 0xE8, 0xFF], .invalidUTF8),
            ([0x82, 0x7E, 0x03, 0xE9], .messageTooLarge),
            ([0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .messageTooLarge),
            ([0x81, 0x01, 0xFF], .invalidUTF8),
            ([0x81, 0x02, 0xC0, 0x80], .invalidUTF8),
            ([0x81, 0x03, 0xED, 0xA0, 0x80], .invalidUTF8),
            ([0x81, 0x04, 0xF4, 0x90, 0x80, 0x80], .invalidUTF8),
            ([0x81, 0x02, 0xE2, 0x82], .invalidUTF8),
            ([0x01, 0x03, 0xF0, 0x80, 0x80, 0x80, 0x00], .invalidUTF8),
        ] as [([UInt8], WebSocketError)])
    func hostileFramesAreRefused(_ input: [UInt8], _ error: WebSocketError) {
        #expect(decode(input) == [.failure(error)])
    }

    @Test func fragmentsCannotGrowBeyondTheBound() {
        var input: [UInt8] = [0x02, 0x64] + [UInt8](repeating: 0, count: 100)
        for _ in 0..<9 { input += [0x00, 0x64] + [UInt8](repeating: 0, count: 100) }
        #expect(decode(input) == [])
        #expect(decode(input + [0x00, 0x01]) == [.failure(.messageTooLarge)])
    }

    @Test func emptyFragmentsAreBounded() {
        let begun: [UInt8] = [0x01, 0x00] + (1..<1000).flatMap { _ in [0x00, 0x00] as [UInt8] }
        #expect(decode(begun + [0x80, 0x00]) == [.event(.text(""))])
        #expect(decode(begun + [0x00, 0x00]) == [.failure(.tooManyEmptyFragments)])
        // Of one message, not of all.
        #expect(decode(begun + [0x80, 0x00] + begun + [0x80, 0x00]) == [.event(.text("")), .event(.text(""))])
    }

    /// Frames of a text whose bytes are cut anywhere, with a ping in each gap.
    private func frames(of text: [UInt8], cutAt cuts: [Int], mask: UInt32?) -> [UInt8] {
        var output: [UInt8] = []
        let bounds = [0] + cuts + [text.count]
        for (index, (start, end)) in zip(bounds, bounds.dropFirst()).enumerated() {
            let first = output.count
            WebSocketFrame.append(
                index == 0 ? .text : .continuation, payload: Array(text[start..<end]), mask: mask, to: &output)
            if end < text.count || index < cuts.count {
                output[first] &= 0x7F
                WebSocketFrame.append(.ping, payload: [UInt8(index)], mask: mask, to: &output)
            }
        }
        return output
    }

    private static let samples = ["", "a", "κόσμε", "Hello-µ@ßöäüàá-UTF-8!!", "𝄞\u{7FF}\u{FFFF}\u{10FFFF}abcdefghij€"]

    @Test(arguments: samples)
    func textsAreWholeHoweverTheyAreCut(_ text: String) {
        let bytes = Array(text.utf8)
        for (mask, role) in [(nil, WebSocketRole.client), (0x0102_0304, .server)] as [(UInt32?, WebSocketRole)] {
            for first in 0...bytes.count {
                for second in first...bytes.count {
                    let outcome = decode(frames(of: bytes, cutAt: [first, second], mask: mask), role: role)
                    #expect(outcome == [.event(.ping([0])), .event(.ping([1])), .event(.text(text))])
                }
            }
        }
    }

    /// The last of these bytes cannot follow the others. It is refused as soon as it is there, wherever frames and reads end before
    /// it, though the last frame says that more follows than ever comes.
    @Test(
        arguments: [
            [0xC0], [0x80], [0xE0, 0x9F], [0xED, 0xA0], [0xF0, 0x8F], [0xF4, 0x90], [0xF5], [0xE2, 0x82, 0x41],
            [0xF0, 0x9D, 0x84, 0x41], [0xC3, 0xC3], [0xFF], [0xE2, 0x28],
        ] as [[UInt8]])
    func aBadByteIsRefusedAtOnce(_ bad: [UInt8]) {
        for before in ["", "a", "abcdefg", "abcdefgh", "κόσμε", "abcdefghijklmnopqrstuvwxyz€"] {
            let text = Array(before.utf8) + bad
            for cut in 0..<text.count {
                let first: [UInt8] = cut > 0 ? [0x01, UInt8(cut)] + text[..<cut] : []
                let input = first + [cut > 0 ? 0x80 : 0x81, 126, 0x03, 0x00] + text[cut...]
                #expect(decode(Array(input.dropLast())) == [])
                #expect(decode(input) == [.failure(.invalidUTF8)])
            }
        }
    }

    @Test func anyBytesAreSurvived() {
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 1...40)).map { _ in UInt8.random(in: 0...255) }
            _ = decode(bytes, role: .server)
            _ = decode(bytes.map { $0 & 0x8F }, role: .client)
        }
    }

    @Test func utf8IsJudgedAsTheLanguageDoes() {
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0...12)).map { _ in
                [0x41, 0x80, 0xBF, 0x9F, 0xA0, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, UInt8.random(in: 0...255)]
                    .randomElement() ?? 0
            }
            var validator = UTF8Validator()
            let isValid = bytes.withUnsafeBytes { validator.check($0) } && validator.isAtBoundary
            #expect(isValid == (String(validating: bytes, as: UTF8.self) != nil))
        }
    }

    // RFC 6455 section 1.3.
    @Test func theHandshakesKey() {
        #expect(WebSocketHandshake.accept(for: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(WebSocketHandshake.isKey("dGhlIHNhbXBsZSBub25jZQ=="))
        #expect(!WebSocketHandshake.isKey("dGhlIHNhbXBsZSBub25j"))
        #expect(!WebSocketHandshake.isKey(""))
    }
}
