import HTTPCodec
import Testing

@Suite struct HTTPSerializerTests {
    private func text(_ write: (inout [UInt8]) -> Void) -> String {
        var output: [UInt8] = []
        write(&output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test func heads() {
        #expect(
            text { HTTPSerializer.append(HTTPResponse(status: 201, fields: ["Location": "/media/uploads/x"]), to: &$0) }
                == "HTTP/1.1 201 Created\r\nLocation: /media/uploads/x\r\n\r\n")
        #expect(
            text { HTTPSerializer.append(HTTPRequest(method: "GET", target: "/a?b", fields: ["Host": "c"]), to: &$0) }
                == "GET /a?b HTTP/1.1\r\nHost: c\r\n\r\n")
    }

    @Test func aValueCannotAddFields() {
        let response = HTTPResponse(status: 200, fields: ["X": "a\r\nSet-Cookie: b\u{0}"])
        #expect(text { HTTPSerializer.append(response, to: &$0) } == "HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b \r\n\r\n")
    }

    @Test func fieldsAreFoundInAnyCaseAndKeepTheirOrder() {
        var fields: HTTPFields = ["Link": "a", "link": "b", "Other": "c"]
        #expect(fields["LINK"] == "a, b")
        #expect(fields.values(of: "link") == ["a", "b"])
        fields["lInk"] = "d"
        #expect(fields.map(\.name) == ["lInk", "Other"])
        fields["OTHER"] = nil
        #expect(fields.count == 1)
        let list: HTTPFields = ["Connection": " a ,,B", "connection": "c"]
        #expect(list.listMembers(of: "Connection") == ["a", "B", "c"])
        #expect(list.list("Connection", contains: "b"))
        #expect(!list.list("Connection", contains: "a ,"))
        // The characters that differ from others by the letters' case bit alone.
        #expect(!HTTPFields(dictionaryLiteral: ("a^", "1")).contains("a~"))
    }

    @Test(arguments: [
        ("a%20b", "a b"), ("%E2%82%AC", "€"), ("a+b", "a+b"), ("", ""),
        ("%", nil), ("%4", nil), ("%4g", nil), ("%+1", nil), ("%ff", nil),
    ])
    func percentDecoding(_ text: String, _ decoded: String?) {
        #expect(PercentEncoding.decode(text) == decoded)
    }

    @Test func percentEncodingGoesBack() {
        let text = "a/b c+d%?&=€~"
        #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text)
        let pairs = [("a b", "c&d"), ("e=", "+")]
        let decoded = PercentEncoding.decodeQuery(PercentEncoding.encodeQuery(pairs))
        #expect(decoded.map(\.0) == pairs.map(\.0) && decoded.map(\.1) == pairs.map(\.1))
    }
}
