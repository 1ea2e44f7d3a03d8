import CodecTesting
import HTTPCodec
import Testing

@Suite struct HTTPResponseParserTests {
    private func parse(
        _ bytes: [UInt8], with parser: inout HTTPResponseParser
    ) throws(HTTPParsingError) -> (head: HTTPResponseHead, byteCount: Int)? {
        try bytes.withUnsafeBytes { bytes in Result { () throws(HTTPParsingError) in try parser.parse(bytes) } }.get()
    }

    private func parse(_ text: String, method: String = "GET") -> [Result<HTTPResponseHead, HTTPParsingError>] {
        let all = outcomes(of: Array(text.utf8)) {
            var parser = HTTPResponseParser(requestMethod: method)
            return { (buffer: inout [UInt8], output: inout [Result<HTTPResponseHead, HTTPParsingError>]) in
                do throws(HTTPParsingError) {
                    let result = try parse(buffer, with: &parser)
                    if let result { output.append(.success(result.head)) }
                    return result == nil
                } catch {
                    output.append(.failure(error))
                    return false
                }
            }
        }
        for outcome in all { #expect(outcome == all[0]) }
        return all[0]
    }

    @Test func theBodysEndIsFound() throws {
        let cases: [(String, String, HTTPBodyFraming)] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", .length(3)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", .length(0)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", .chunked),
            ("HTTP/1.1 200 OK\r\n\r\n", "GET", .untilClose),
            ("HTTP/1.1 204 \r\n\r\n", "GET", .length(0)),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET", .length(0)),
            ("HTTP/1.1 100\r\n\r\n", "PUT", .length(0)),
        ]
        for (text, method, body) in cases {
            let head = try #require(try parse(text, method: method).first?.get())
            #expect(head.body == body)
            #expect(head.keepsAlive == (body != .untilClose))
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 20 OK\r\n\r\n", HTTPParsingError.malformedStartLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", .malformedStartLine),
        ("HTTP/1.1 +20 OK\r\n\r\n", .malformedStartLine),
        ("HTTP/1.1  200 OK\r\n\r\n", .malformedStartLine),
        ("ICY 200 OK\r\n\r\n", .malformedStartLine),
        ("HTTP/3.1 200 OK\r\n\r\n", .unsupportedVersion),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .ambiguousFraming),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .invalidContentLength),
        ("HTTP/1.1 200 OK\nX: y\n\n", .bareLineBreak),
    ])
    func hostileAnswersAreRefused(_ text: String, _ error: HTTPParsingError) {
        #expect(parse(text) == [.failure(error)])
    }
}
