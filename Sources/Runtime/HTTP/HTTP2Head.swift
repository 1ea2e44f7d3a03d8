import HTTPCodec

/// The head of a request, or its trailers, while the fields come in. What a request may be is the same as over HTTP/1.1.
struct HTTP2Head {
    private var method = ""
    private var target = ""
    private var authority: String?
    private var cookies: String?
    private var expectation: String?
    private(set) var fields = HTTPFields()
    /// As RFC 9113 section 6.5.2 counts a list of fields.
    private(set) var byteCount = 0
    private var refusal: HTTPParsingError?

    /// Takes a field whose spelling libnghttp2 has checked.
    mutating func append(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>, limits: HTTPHeadLimits) {
        byteCount += name.count + value.count + 32
        guard byteCount <= limits.maxBytes else { return refuse(.headTooLarge) }
        let text = String(decoding: value, as: UTF8.self)
        if name.first == UInt8(ascii: ":") {
            switch name.count {
            case 7 where name[1] == UInt8(ascii: "m"): method = text
            case 5:
                target = text
                if value.count > limits.maxTargetBytes { refuse(.startLineTooLong) }
            case 10: authority = text
            default: break  // :scheme
            }
            return
        }
        guard fields.count < limits.maxFields else { return refuse(.tooManyFields) }
        let key = String(decoding: name, as: UTF8.self)
        switch key {
        // One field in pieces (RFC 9113 section 8.2.3).
        case "cookie": cookies = cookies.map { "\($0); \(text)" } ?? text
        case "expect":
            expectation = text
            if !text.utf8.elementsEqual("100-continue".utf8) { refuse(.unsupportedExpectation) }
            fields.append(name: key, value: text)
        default: fields.append(name: key, value: text)
        }
    }

    private mutating func refuse(_ error: HTTPParsingError) {
        if refusal == nil { refusal = error }
    }

    var expectsContinue: Bool { expectation != nil && refusal == nil }

    /// The request, and why it is not to be served.
    func request() -> (HTTPRequest, HTTPParsingError?) {
        var all = fields
        if let cookies { all.append(name: "cookie", value: cookies) }
        var request = HTTPRequest(method: method, target: target, fields: all)
        if let refusal { return (request, refusal) }
        do {
            try request.adopt(authority: authority)
            return (request, nil)
        } catch {
            return (request, error)
        }
    }
}
