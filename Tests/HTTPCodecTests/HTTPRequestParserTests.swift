import CodecTesting
import HTTPCodec
import Testing

/// What a connection's worth of bytes turns into: heads, and the error that ends it.
enum ParsedRequest: Equatable {
    case head(HTTPRequestHead)
    case failure(HTTPParsingError)
}

func parse(
    _ bytes: [UInt8], with parser: inout HTTPRequestParser
) throws(HTTPParsingError) -> (head: HTTPRequestHead, byteCount: Int)? {
    try bytes.withUnsafeBytes { bytes in Result { () throws(HTTPParsingError) in try parser.parse(bytes) } }.get()
}

func parseRequests(_ text: String, limits: HTTPHeadLimits = HTTPHeadLimits()) -> [[ParsedRequest]] {
    parseRequests(Array(text.utf8), limits: limits)
}

func parseRequests(_ bytes: [UInt8], limits: HTTPHeadLimits = HTTPHeadLimits()) -> [[ParsedRequest]] {
    outcomes(of: bytes) {
        var parser = HTTPRequestParser(limits: limits)
        return { buffer, output in
            while !buffer.isEmpty {
                do throws(HTTPParsingError) {
                    let result = try parse(buffer, with: &parser)
                    guard let (head, count) = result else { return true }
                    output.append(.head(head))
                    buffer.removeFirst(count)
                    parser = HTTPRequestParser(limits: limits)
                } catch {
                    output.append(.failure(error))
                    return false
                }
            }
            return true
        }
    }
}

@Suite struct HTTPRequestParserTests {
    private func onlyHead(_ text: String) throws -> HTTPRequestHead {
        let all = parseRequests(text)
        for outcome in all { #expect(outcome == all[0]) }
        #expect(all[0].count == 1)
        guard case .head(let head) = try #require(all[0].first) else { throw Unexpected(outcome: all[0]) }
        return head
    }

    struct Unexpected: Error { var outcome: [ParsedRequest] }

    @Test func aRequestIsTakenApart() throws {
        let head = try onlyHead(
            "POST /media/uploads?mode=sealed&name=a%20b+c HTTP/1.1\r\nHost: edge.example:8480\r\ncontent-length: 12\r\n"
                + "X-List: a\r\nExpect: 100-continue\r\nx-list:   b  \r\nEmpty:\r\n\r\n")
        #expect(head.request.method == "POST")
        #expect(head.request.path == "/media/uploads")
        #expect(head.request.query.map(\.0) == ["mode", "name"])
        #expect(head.request.queryValue("name") == "a b c")
        #expect(head.request.fields["x-list"] == "a, b")
        #expect(head.request.fields["EMPTY"] == "")
        #expect(head.body == .length(12))
        #expect(head.keepsAlive)
        #expect(head.expectsContinue)
    }

    @Test func pipelinedRequestsComeOutOneByOne() {
        let one = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
        for outcome in parseRequests(one + "\r\n" + one + one) { #expect(outcome.count == 3) }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
    ])
    func connectionsLiveAsTheVersionSays(_ text: String, _ keepsAlive: Bool) throws {
        #expect(try onlyHead(text).keepsAlive == keepsAlive)
    }

    @Test func theAbsoluteFormNamesTheHost() throws {
        let head = try onlyHead("GET http://real.example/a/b?c=d HTTP/1.1\r\nHost: other.example\r\n\r\n")
        #expect(head.request.path == "/a/b")
        #expect(head.request.queryValue("c") == "d")
        #expect(head.request.fields["Host"] == "real.example")
        #expect(try onlyHead("GET http://real.example HTTP/1.1\r\nHost: a\r\n\r\n").request.path == "/")
        #expect(try onlyHead("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").request.path == "*")
    }

    @Test func chunkedIsTheOnlyTransferCoding() throws {
        let head = try onlyHead("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n")
        #expect(head.body == .chunked)
    }

    static let hostile: [(String, HTTPParsingError)] = [
        ("GET / HTTP/1.1\nHost: a\n\n", .bareLineBreak),
        ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", .bareLineBreak),
        ("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", .bareLineBreak),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", .bareLineBreak),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", .obsoleteFolding),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", .obsoleteFolding),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", .malformedField),
        ("GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", .malformedField),
        ("GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", .malformedField),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{0}\r\n\r\n", .malformedField),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\u{0}: b\r\n\r\n", .malformedField),
        ("GET / HTTP/1.1\r\n\r\n", .missingHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .missingHost),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: [x]\r\n\r\n", .invalidHost),
        ("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        ("GET /\r\n\r\n", .malformedStartLine),
        ("GET\r\n\r\n", .malformedStartLine),
        (" / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedStartLine),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedStartLine),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", .malformedStartLine),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .malformedStartLine),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .unsupportedVersion),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedStartLine),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", .invalidContentLength),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            .ambiguousFraming
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .ambiguousFraming),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n", .malformedField),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
            .unsupportedTransferCoding
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chun\u{212a}ed\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", .malformedField),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", .obsoleteFolding),
        ("POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", .bareLineBreak),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n\r\n", .ambiguousFraming
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n",
            .ambiguousFraming
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \u{665}\r\n\r\n", .invalidContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n", .invalidContentLength),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformedStartLine),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", .malformedStartLine),
        ("GET / HTTP/01.1\r\nHost: a\r\n\r\n", .malformedStartLine),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", .unsupportedExpectation),
    ]

    /// Several bytes are looked at at once: none may be overlooked, wherever it stands among others.
    @Test(arguments: [
        (UInt8(0), HTTPParsingError.malformedField), (0x09, nil), (0x0A, .bareLineBreak), (0x0D, .bareLineBreak),
        (0x1F, .malformedField), (0x20, nil), (0x7F, .malformedField), (0x80, nil), (0xFF, nil),
    ])
    func everyPlaceOfAValueIsLookedAt(_ byte: UInt8, _ error: HTTPParsingError?) {
        for other in [UInt8(ascii: "x"), 0x80, 0xFF, 0x21, 0x7E] {
            for place in 1..<26 {
                var value = [UInt8](repeating: other, count: 27)
                value[place] = byte
                let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + value + Array("\r\n\r\n".utf8)
                for outcome in parseRequests(bytes) {
                    switch outcome.first {
                    case .head(let head):
                        #expect(error == nil)
                        #expect(head.request.fields["x"] == String(decoding: value, as: UTF8.self))
                    case .failure(let found): #expect(found == error)
                    case nil: Issue.record("neither a head nor an error")
                    }
                }
            }
        }
    }

    @Test func fieldsOfAHeadAreAsOthers() throws {
        var fields = try onlyHead(
            "GET / HTTP/1.1\r\nHost: a\r\nLink: b \r\nlink:\t c, d\r\nEmpty:\r\n\r\n"
        ).request.fields
        let same: HTTPFields = ["Host": "a", "Link": "b", "link": "c, d", "Empty": ""]
        #expect(fields == same && fields != ["Host": "a"])
        #expect(fields.map(\.name) == ["Host", "Link", "link", "Empty"])
        #expect(fields["LINK"] == "b, c, d" && fields["Lin"] == nil && fields["Empty"] == "")
        #expect(fields.values(of: "link") == ["b", "c, d"])
        #expect(fields.listMembers(of: "link") == ["b", "c", "d"])
        #expect(fields.list("Link", contains: "D") && !fields.list("Link", contains: "a"))
        #expect(fields.contains("hOST") && !fields.contains("Hos"))
        fields.append(name: "More", value: "e")
        fields["link"] = "f"
        #expect(fields == ["Host": "a", "Link": "f", "Empty": "", "More": "e"])
    }

    @Test(arguments: hostile)
    func whatCouldBeReadInTwoWaysIsRefused(_ text: String, _ error: HTTPParsingError) {
        for outcome in parseRequests(text) { #expect(outcome == [.failure(error)]) }
    }

    @Test(arguments: ["a", "a.example:8480", "a:", "127.0.0.1:1", "[::1]", "[::ffff:1.2.3.4]:65535", "a%20b", "x_y~z"])
    func hostsAreNamesOrAddresses(_ host: String) throws {
        #expect(try onlyHead("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n").request.fields["Host"] == host)
    }

    @Test func theTargetIsBounded() {
        let limits = HTTPHeadLimits(maxTargetBytes: 100)
        for (length, error) in [(100, nil), (101, HTTPParsingError.startLineTooLong)] {
            let target = "/" + String(repeating: "a", count: length - 1)
            for outcome in parseRequests("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n", limits: limits) {
                #expect(outcome.count == 1)
                if let error { #expect(outcome == [.failure(error)]) }
                if error == nil, case .failure(let error) = outcome.first { Issue.record(error) }
            }
        }
    }

    @Test func theHeadIsBounded() {
        let limits = HTTPHeadLimits(maxBytes: 200, maxFields: 3)
        let long = String(repeating: "a", count: 300)
        for (text, error) in [
            ("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n", HTTPParsingError.startLineTooLong),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\r\n\r\n", .headTooLarge),
            ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", .tooManyFields),
        ] {
            for outcome in parseRequests(text, limits: limits) { #expect(outcome == [.failure(error)]) }
        }
        let fitting = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n"
        for outcome in parseRequests(fitting, limits: HTTPHeadLimits(maxBytes: fitting.utf8.count, maxFields: 3)) {
            #expect(outcome.count == 1)
            if case .failure(let error) = outcome[0] { Issue.record(error) }
        }
    }

    @Test func anyBytesAreSurvived() {
        var generator = SystemRandomNumberGenerator()
        let valid = Array("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\n".utf8)
        for _ in 0..<2000 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            let all = parseRequests(bytes)
            for outcome in all { #expect(outcome == all[0]) }
        }
    }
}
