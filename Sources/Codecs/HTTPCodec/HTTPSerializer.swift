/// Writes messages of HTTP/1.1.
public enum HTTPSerializer {
    /// Appends the status line, the fields and the empty line.
    public static func append(_ response: HTTPResponse, to output: inout [UInt8]) {
        appendStatusLine(response.status, to: &output)
        appendFields(response.fields, to: &output)
        appendHeadEnd(to: &output)
    }

    /// Appends the request line, the fields and the empty line.
    ///
    /// - Precondition: the method is a token, the target visible ASCII.
    public static func append(_ request: HTTPRequest, to output: inout [UInt8]) {
        precondition(isToken(request.method), "a method is a token")
        precondition(
            !request.target.isEmpty && request.target.utf8.allSatisfy { (0x21...0x7E).contains($0) },
            "a target is visible ASCII")
        append(request.method, to: &output)
        output.append(0x20)
        append(request.target, to: &output)
        append(" HTTP/1.1\r\n", to: &output)
        appendFields(request.fields, to: &output)
        appendHeadEnd(to: &output)
    }

    // MARK: The parts of a response's head, in their order

    /// Appends the status line.
    public static func appendStatusLine(_ status: Int, to output: inout [UInt8]) {
        precondition((100...999).contains(status), "a status has three digits")
        append("HTTP/1.1 ", to: &output)
        appendNumber(status, to: &output)
        output.append(0x20)
        append(HTTPResponse.reasonPhrase(of: status), to: &output)
        append(lineBreak, to: &output)
    }

    /// Appends field lines. Characters in values that would end the line are written as spaces (RFC 9110 section 5.5), so
    /// that a value that came from elsewhere cannot add fields.
    public static func appendFields(_ fields: HTTPFields, to output: inout [UInt8]) {
        for field in fields { appendField(field.name, field.value, to: &output) }
    }

    /// Appends one field line; as `appendFields`.
    public static func appendField(_ name: String, _ value: String, to output: inout [UInt8]) {
        precondition(isToken(name), "a field name is a token")
        append(name, to: &output)
        append(": ", to: &output)
        let start = output.count
        append(value, to: &output)
        replaceControls(in: &output, from: start)
        append(lineBreak, to: &output)
    }

    /// Appends one field line with a number that is not negative.
    public static func appendField(_ name: StaticString, _ value: Int, to output: inout [UInt8]) {
        append(name, to: &output)
        append(": ", to: &output)
        appendNumber(value, to: &output)
        append(lineBreak, to: &output)
    }

    /// Appends the empty line that ends a head.
    public static func appendHeadEnd(to output: inout [UInt8]) { append(lineBreak, to: &output) }

    // MARK: Chunks

    /// Appends the line that opens a chunk of `count` bytes, which is at least 1: a chunk of none would end the body.
    public static func appendChunkHead(count: Int, to output: inout [UInt8]) {
        precondition(count > 0, "an empty chunk ends the body")
        append(String(count, radix: 16), to: &output)
        append(lineBreak, to: &output)
    }

    /// What stands behind the bytes of each chunk.
    public static let chunkEnd: [UInt8] = Array("\r\n".utf8)
    /// What ends a chunked body: the empty chunk, and no trailers.
    public static let lastChunk: [UInt8] = Array("0\r\n\r\n".utf8)

    // MARK: Bytes

    private static let lineBreak: StaticString = "\r\n"

    @inline(__always)
    private static func append(_ text: StaticString, to output: inout [UInt8]) {
        output.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    private static func append(_ text: String, to output: inout [UInt8]) {
        var text = text
        text.withUTF8 { output.append(contentsOf: $0) }
    }

    private static func appendNumber(_ number: Int, to output: inout [UInt8]) {
        precondition(number >= 0)
        var power = 1
        while number / power >= 10 { power *= 10 }
        while power > 0 {
            output.append(UInt8(ascii: "0") + UInt8(number / power % 10))
            power /= 10
        }
    }

    private static func replaceControls(in output: inout [UInt8], from start: Int) {
        var position = start
        while true {
            position = output.withUnsafeBytes { firstControl(in: $0, from: position, to: $0.count) }
            guard position < output.count else { return }
            if output[position] != 0x09 { output[position] = 0x20 }
            position += 1
        }
    }
}
