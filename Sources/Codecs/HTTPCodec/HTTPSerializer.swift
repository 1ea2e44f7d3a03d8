/// Writes messages of HTTP/1.1.
public enum HTTPSerializer {
    /// Appends the status line, the fields and the empty line.
    public static func append(_ response: HTTPResponse, to output: inout [UInt8]) {
        precondition((100...999).contains(response.status), "a status has three digits")
        output.append(contentsOf: "HTTP/1.1 \(response.status) ".utf8)
        output.append(contentsOf: HTTPResponse.reasonPhrase(of: response.status).utf8)
        output.append(contentsOf: lineBreak)
        append(response.fields, to: &output)
    }

    /// Appends the request line, the fields and the empty line.
    ///
    /// - Precondition: the method is a token, the target visible ASCII.
    public static func append(_ request: HTTPRequest, to output: inout [UInt8]) {
        precondition(isToken(request.method), "a method is a token")
        precondition(
            !request.target.isEmpty && request.target.utf8.allSatisfy { (0x21...0x7E).contains($0) },
            "a target is visible ASCII")
        output.append(contentsOf: request.method.utf8)
        output.append(0x20)
        output.append(contentsOf: request.target.utf8)
        output.append(contentsOf: " HTTP/1.1\r\n".utf8)
        append(request.fields, to: &output)
    }

    /// Appends the line that opens a chunk of `count` bytes, which is at least 1: a chunk of none would end the body.
    public static func appendChunkHead(count: Int, to output: inout [UInt8]) {
        precondition(count > 0, "an empty chunk ends the body")
        output.append(contentsOf: String(count, radix: 16).utf8)
        output.append(contentsOf: lineBreak)
    }

    /// What stands behind the bytes of each chunk.
    public static let chunkEnd: [UInt8] = lineBreak
    /// What ends a chunked body: the empty chunk, and no trailers.
    public static let lastChunk: [UInt8] = Array("0\r\n\r\n".utf8)

    private static let lineBreak: [UInt8] = [UInt8(ascii: "\r"), UInt8(ascii: "\n")]

    /// Characters that would end the line are written as spaces (RFC 9110 section 5.5), so that a value that came from
    /// elsewhere cannot add fields.
    private static func append(_ fields: HTTPFields, to output: inout [UInt8]) {
        for field in fields {
            precondition(isToken(field.name), "a field name is a token")
            output.append(contentsOf: field.name.utf8)
            output.append(UInt8(ascii: ":"))
            output.append(0x20)
            for byte in field.value.utf8 { output.append(isFieldValueCharacter(byte) ? byte : 0x20) }
            output.append(contentsOf: lineBreak)
        }
        output.append(contentsOf: lineBreak)
    }
}
