import CodecTesting
import HTTPCodec
import Testing

@Suite struct ChunkedDecoderTests {
    struct Outcome: Equatable {
        var body: [UInt8] = []
        var hasEnded = false
        var error: HTTPParsingError?
        var rest: [UInt8] = []
        var trailers = HTTPFields()
    }

    private func decode(_ text: String, limits: HTTPChunkLimits = HTTPChunkLimits()) -> Outcome {
        let all = arrivals(of: Array(text.utf8)).map { pieces in
            var decoder = ChunkedDecoder(limits: limits)
            var outcome = Outcome()
            for piece in pieces {
                if outcome.hasEnded { outcome.rest += piece }
                guard !outcome.hasEnded, outcome.error == nil else { continue }
                var offset = 0
                piece.withUnsafeBytes { bytes in
                    do throws(HTTPParsingError) {
                        while true {
                            switch try decoder.next(in: bytes, from: &offset) {
                            case .data(let range): outcome.body += bytes[range]
                            case .needsMore: return
                            case .end:
                                outcome.hasEnded = true
                                outcome.trailers = decoder.trailers
                                outcome.rest += bytes[offset...]
                                return
                            }
                        }
                    } catch {
                        outcome.error = error
                    }
                }
            }
            return outcome
        }
        for outcome in all { #expect(outcome == all[0]) }
        return all[0]
    }

    @Test func chunksBecomeTheBody() {
        let outcome = decode("5\r\nhello\r\n1;name=\"v\"\r\n \r\n00A\r\nworld12345\r\n0;x\r\nX: yes\r\n\r\nGET /")
        #expect(outcome.body == Array("hello world12345".utf8))
        #expect(outcome.hasEnded)
        #expect(outcome.rest == Array("GET /".utf8))
    }

    @Test func trailersAreKept() {
        let outcome = decode("1\r\nx\r\n0\r\nX-Checksum: a\r\nY:  b \r\nx-checksum: c\r\n\r\n")
        #expect(outcome.trailers == ["X-Checksum": "a", "Y": "b", "x-checksum": "c"])
        #expect(decode("0\r\n\r\n").trailers.isEmpty)
    }

    @Test func trailersAreBounded() {
        let limits = HTTPChunkLimits(maxTrailerBytes: 20, maxTrailerFields: 2)
        #expect(decode("0\r\nA: b\r\nC: d\r\n\r\n", limits: limits).trailers.count == 2)
        #expect(decode("0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", limits: limits).error == .trailersTooLarge)
        #expect(decode("0\r\nA: 0123456789abcdefgh\r\n\r\n", limits: limits).error == .trailersTooLarge)
    }

    @Test(arguments: [
        "Content-Length", "transfer-encoding", "HOST", "Connection", "Authorization", "Cookie", "Trailer",
    ])
    func trailersThatComeTooLateAreRefused(_ name: String) {
        #expect(decode("0\r\nX: y\r\n\(name): 1\r\n\r\n").error == .forbiddenTrailer)
    }

    @Test func aBodyCutShortHasNotEnded() {
        #expect(!decode("5\r\nhello\r\n0\r\n").hasEnded)
    }

    @Test(arguments: [
        ("\r\n", HTTPParsingError.malformedChunk),
        ("g\r\n", .malformedChunk),
        ("-1\r\n", .malformedChunk),
        ("0x5\r\nhello\r\n", .malformedChunk),
        ("5 \r\nhello\r\n", .malformedChunk),
        ("5\nhello\r\n", .malformedChunk),
        ("5\r\nhelloX\r\n", .malformedChunk),
        ("5\r\nhello\n", .malformedChunk),
        ("5\r\nhello\rX", .malformedChunk),
        ("5;a\nb\r\nhello\r\n", .malformedChunk),
        ("ffffffffffffffffff\r\n", .malformedChunk),
        ("10000000000000005\r\nhello\r\n", .malformedChunk),
        (String(repeating: "0", count: 100) + "5\r\nhello\r\n", .malformedChunk),
        ("0\r\nno colon\r\n\r\n", .malformedField),
        ("0\r\nX: y\nZ: a\r\n\r\n", .bareLineBreak),
        ("0\r\n folded\r\n\r\n", .obsoleteFolding),
        ("0\r\nX: " + String(repeating: "y", count: 9000), .trailersTooLarge),
        (String(repeating: "1;" + String(repeating: "e", count: 100) + "\r\nx\r\n", count: 50), .malformedChunk),
    ])
    func brokenChunksAreRefused(_ text: String, _ error: HTTPParsingError) {
        #expect(decode(text).error == error)
    }

    @Test func whatIsWrittenIsRead() {
        var output: [UInt8] = []
        var body: [UInt8] = []
        for size in [1, 15, 16, 4096, 70_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            HTTPSerializer.appendChunkHead(count: size, to: &output)
            output += bytes + HTTPSerializer.chunkEnd
            body += bytes
        }
        output += HTTPSerializer.lastChunk
        var decoder = ChunkedDecoder()
        var decoded: [UInt8] = []
        var offset = 0
        output.withUnsafeBytes { bytes in
            while case .data(let range) = try? decoder.next(in: bytes, from: &offset) { decoded += bytes[range] }
        }
        #expect(decoded == body)
        #expect(offset == output.count)
    }
}
