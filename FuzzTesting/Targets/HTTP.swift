import HTTPCodec

/// A value, or the error that refuses what came.
enum Parsed<Value: Equatable, Failure: Error & Equatable>: Equatable {
    case value(Value)
    case failure(Failure)
}

extension FuzzTarget {
    /// Heads of requests, one behind the other as on a connection, within small and within the usual limits.
    static let httpRequest = FuzzTarget("http-request") { input throws(BrokenProperty) in
        for limits in [HTTPHeadLimits(), HTTPHeadLimits(maxBytes: 96, maxFields: 3)] {
            let heads = try decodeInPieces(input) { requestDecoder(limits) }
            for case .value(let head) in heads {
                try checkRequest(head, limits)
            }
        }
    }

    private static func requestDecoder(
        _ limits: HTTPHeadLimits
    ) -> (inout [UInt8], inout [Parsed<HTTPRequestHead, HTTPParsingError>]) -> Bool {
        var parser = HTTPRequestParser(limits: limits)
        return { buffer, output in
            while !buffer.isEmpty {
                let result = buffer.withUnsafeBytes { bytes in
                    Result { () throws(HTTPParsingError) in try parser.parse(bytes) }
                }
                switch result {
                case .success(nil): return true
                case .success(let (head, count)?):
                    output.append(.value(head))
                    buffer.removeFirst(count)
                    parser = HTTPRequestParser(limits: limits)
                case .failure(let error):
                    output.append(.failure(error))
                    return false
                }
            }
            return true
        }
    }

    private static func checkRequest(_ head: HTTPRequestHead, _ limits: HTTPHeadLimits) throws(BrokenProperty) {
        let request = head.request
        _ = (request.query, request.queryValue("a"))
        try hold(isToken(request.method), "a method that is no token")
        try hold(request.path.utf8.first == UInt8(ascii: "/") || request.path == "*", "the path \(request.path)")
        try checkFields(request.fields, limits)
        try checkFraming(head.body, request.fields)
        try hold(request.fields.values(of: "Host").count <= 1, "several hosts")
        if head.expectsContinue { try hold(request.fields.contains("Expect"), "100 without being asked") }

        // A peer of 1.0 may leave out the host, and is answered in 1.1.
        guard !head.isHTTP10 else { return }
        var written: [UInt8] = []
        HTTPSerializer.append(request, to: &written)
        var parser = HTTPRequestParser(limits: HTTPHeadLimits(maxBytes: .max, maxFields: limits.maxFields))
        let result = written.withUnsafeBytes { bytes in
            Result { () throws(HTTPParsingError) in try parser.parse(bytes) }
        }
        let again = try held("what was written is refused") { () throws(HTTPParsingError) in try result.get() }
        try holdEqual(again?.head, head, "the head that was written")
        try holdEqual(again?.byteCount, written.count, "the bytes of the head")
    }

    /// Heads of responses to several methods.
    static let httpResponse = FuzzTarget("http-response") { input throws(BrokenProperty) in
        for method in ["GET", "HEAD", "CONNECT"] {
            let heads = try decodeInPieces(input) { responseDecoder(method) }
            for case .value(let head) in heads { try checkResponse(head, to: method) }
        }
    }

    private static func responseDecoder(
        _ method: String
    ) -> (inout [UInt8], inout [Parsed<HTTPResponseHead, HTTPParsingError>]) -> Bool {
        var parser = HTTPResponseParser(requestMethod: method)
        return { buffer, output in
            let result = buffer.withUnsafeBytes { bytes in
                Result { () throws(HTTPParsingError) in try parser.parse(bytes) }
            }
            switch result {
            case .success(nil): return true
            case .success(let (head, _)?): output.append(.value(head))
            case .failure(let error): output.append(.failure(error))
            }
            return false
        }
    }

    private static func checkResponse(_ head: HTTPResponseHead, to method: String) throws(BrokenProperty) {
        try hold((100...999).contains(head.response.status), "the status \(head.response.status)")
        try checkFields(head.response.fields, HTTPHeadLimits())
        if head.body != .untilClose, head.body != .length(0) { try checkFraming(head.body, head.response.fields) }
        var written: [UInt8] = []
        HTTPSerializer.append(head.response, to: &written)
        var parser = HTTPResponseParser(requestMethod: method, limits: HTTPHeadLimits(maxBytes: .max))
        let result = written.withUnsafeBytes { bytes in
            Result { () throws(HTTPParsingError) in try parser.parse(bytes) }
        }
        let again = try held("what was written is refused") { () throws(HTTPParsingError) in try result.get() }
        try holdEqual(again?.head.response, head.response, "the head that was written")
        try holdEqual(again?.head.body, head.body, "the body's framing")
    }

    private static func checkFields(_ fields: HTTPFields, _ limits: HTTPHeadLimits) throws(BrokenProperty) {
        // The absolute form of a target may add a host of its own.
        try hold(fields.count <= limits.maxFields + 1, "\(fields.count) fields")
        for field in fields {
            try hold(isToken(field.name), "the field name \(field.name)")
            try hold(!field.value.utf8.contains { $0 == 10 || $0 == 13 || $0 == 0 }, "a line break in a value")
            let values = fields.values(of: field.name)
            try hold(fields.contains(field.name) && values.contains(field.value), "a field that is not found")
            try holdEqual(fields[field.name], values.joined(separator: ", "), "the joined values")
            for member in fields.listMembers(of: field.name) {
                try hold(fields.list(field.name, contains: member), "the list member \(member) is not found")
            }
        }
    }

    /// Smuggling lives where two readers disagree about the end of a body (RFC 9112 section 6.3).
    private static func checkFraming(_ framing: HTTPBodyFraming, _ fields: HTTPFields) throws(BrokenProperty) {
        let (lengths, codings) = (fields.values(of: "Content-Length"), fields.values(of: "Transfer-Encoding"))
        switch framing {
        case .chunked:
            let isChunked = codings.count == 1 && codings[0].lowercased() == "chunked"
            try hold(lengths.isEmpty && isChunked, "chunked by \(fields)")
        case .length(let count):
            try hold(count >= 0 && codings.isEmpty, "a length beside \(codings)")
            if count > 0 {
                try hold(lengths.count == 1 && Int(lengths[0]) == count, "\(count) by \(lengths)")
            }
        case .untilClose: try hold(lengths.isEmpty && codings.isEmpty, "until the close, by \(fields)")
        }
    }

    /// The chunked transfer coding.
    static let chunked = FuzzTarget("chunked") { input throws(BrokenProperty) in
        for limits in [
            HTTPChunkLimits(maxExtensionBytes: 5, maxTrailerBytes: 20, maxTrailerFields: 2), HTTPChunkLimits(),
        ] {
            let output = try unchunk(input, limits)
            guard case .ended(let trailers) = output.end else { continue }
            try checkFields(trailers, HTTPHeadLimits(maxFields: limits.maxTrailerFields))
            try hold(
                trailers.reduce(0) { $0 + $1.name.utf8.count + 1 } <= limits.maxTrailerBytes,
                "trailers beyond their bound")
            try checkChunks(of: output.body)
        }
    }

    private static func checkChunks(of body: [UInt8]) throws(BrokenProperty) {
        var written: [UInt8] = []
        for chunk in stride(from: 0, to: body.count, by: 7).map({ body[$0..<min($0 + 7, body.count)] }) {
            HTTPSerializer.appendChunkHead(count: chunk.count, to: &written)
            written += chunk + HTTPSerializer.chunkEnd
        }
        written += HTTPSerializer.lastChunk
        let again = try unchunk(written, HTTPChunkLimits())
        try holdEqual(again.body, body, "the body that was written")
        try holdEqual(again.end, .ended([:]), "its end")
    }

    private enum ChunkedOutput: Equatable {
        case byte(UInt8)
        case ended(HTTPFields)
        case failure(HTTPParsingError)
    }

    private static func unchunk(
        _ input: [UInt8], _ limits: HTTPChunkLimits
    ) throws(BrokenProperty) -> (body: [UInt8], end: ChunkedOutput?) {
        let output = try decodeInPieces(input) {
            var decoder = ChunkedDecoder(limits: limits)
            return { (buffer: inout [UInt8], output: inout [ChunkedOutput]) in
                var offset = 0
                let goesOn = buffer.withUnsafeBytes { bytes in
                    do throws(HTTPParsingError) {
                        while true {
                            switch try decoder.next(in: bytes, from: &offset) {
                            case .data(let range): output += bytes[range].map { .byte($0) }
                            case .needsMore: return true
                            case .end:
                                output.append(.ended(decoder.trailers))
                                return false
                            }
                        }
                    } catch {
                        output.append(.failure(error))
                        return false
                    }
                }
                buffer.removeFirst(offset)
                return goesOn
            }
        }
        var body: [UInt8] = []
        for case .byte(let byte) in output { body.append(byte) }
        guard let last = output.last else { return (body, nil) }
        if case .byte = last { return (body, nil) }
        return (body, last)
    }
}
