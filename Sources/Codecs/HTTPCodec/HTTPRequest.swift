/// The head of a request (RFC 9110 section 6).
public struct HTTPRequest: Equatable, Sendable {
    /// Case-sensitive, as it came.
    public var method: String
    /// The request target as it came: origin form (`/a?b=c`), absolute form, or `*` (RFC 9112 section 3.2).
    public var target: String
    public var fields: HTTPFields

    public init(method: String, target: String, fields: HTTPFields = [:]) {
        self.method = method
        self.target = target
        self.fields = fields
    }

    /// The path of the target, as it came: not percent-decoded, dots not resolved. `/` if the target has none.
    public var path: String {
        let path = originForm.prefix { $0 != "?" }
        return path.isEmpty ? "/" : String(path)
    }

    /// Shows the path's bytes, as `path` has them; the pointer is valid inside the body only.
    public func withPathBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        var target = target.utf8.first == UInt8(ascii: "/") ? target : path
        return target.withUTF8 { bytes in
            body(UnsafeBufferPointer(rebasing: bytes.prefix { $0 != UInt8(ascii: "?") }))
        }
    }

    /// The names and values of the target's query, decoded, in order. A pair with a broken escape is left out.
    public var query: [(String, String)] {
        guard let mark = target.firstIndex(of: "?") else { return [] }
        return PercentEncoding.decodeQuery(target[target.index(after: mark)...])
    }

    /// The first value of a name in the query.
    public func queryValue(_ name: String) -> String? {
        query.first { $0.0 == name }?.1
    }

    /// What stands behind the authority in the absolute form, or the target itself.
    private var originForm: Substring {
        if target.hasPrefix("/") || target == "*" { return target[...] }
        guard let scheme = target.firstRange(of: "://") else { return target[...] }
        return target[scheme.upperBound...].drop { $0 != "/" && $0 != "?" }
    }
}
