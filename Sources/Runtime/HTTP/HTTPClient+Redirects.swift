import Base
import HTTPCodec

extension HTTPClientRequest {
    /// What a redirection asks for (RFC 9110 section 15.4).
    ///
    /// - Returns: nil when the answer is no redirection, or one that cannot be followed: without a usable `Location`, from
    ///   `https` to `http`, or with a body that cannot be sent again.
    func redirected(by status: Int, _ fields: HTTPFields, from url: HTTPURL) -> HTTPClientRequest? {
        guard [301, 302, 303, 307, 308].contains(status), let location = fields["Location"],
            let target = url.resolving(location), let next = HTTPURL(target), next.isSecure || !url.isSecure
        else { return nil }
        var request = self
        request.url = target
        if status == 303 && method != "HEAD" || status < 303 && method == "POST" {
            request.method = "GET"
            request.body = .none
            for name in ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Repr-Digest"] {
                request.fields[name] = nil
            }
        }
        if case .stream = request.body { return nil }
        if HTTPConnectionPool.Origin(next) != HTTPConnectionPool.Origin(url) {
            // What was meant for one server is not for another.
            for name in ["Authorization", "Proxy-Authorization", "Cookie"] { request.fields[name] = nil }
        }
        return request
    }
}

extension HTTPURL {
    /// The absolute form of a reference (RFC 3986 section 5.2); nil for schemes other than `http` and `https`.
    package func resolving(_ reference: String) -> String? {
        let scheme = isSecure ? "https" : "http"
        let reference = String(reference.prefix { $0 != "#" })
        if let separator = reference.firstRange(of: "://"),
            reference[..<separator.lowerBound].allSatisfy({ $0.isASCII && ($0.isLetter || "+-.".contains($0)) })
        {
            let given = reference[..<separator.lowerBound].lowercased()
            return given == "http" || given == "https" ? reference : nil
        }
        if reference.hasPrefix("//") { return "\(scheme):\(reference)" }
        let base = "\(scheme)://\(authority)"
        let path = target.prefix { $0 != "?" }
        if reference.isEmpty { return base + target }
        if reference.hasPrefix("?") { return base + path + reference }
        let query = reference.firstIndex(of: "?") ?? reference.endIndex
        var whole = String(reference[..<query])
        if !whole.hasPrefix("/") { whole = path[...(path.lastIndex(of: "/") ?? path.startIndex)] + whole }
        return base + Self.withoutDots(whole) + reference[query...]
    }

    private static func withoutDots(_ path: String) -> String {
        var segments: [Substring] = []
        let given = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for (index, segment) in given.enumerated() {
            let isLast = index == given.count - 1
            switch segment {
            case ".": if isLast { segments.append("") }
            case "..":
                if !segments.isEmpty { segments.removeLast() }
                if isLast { segments.append("") }
            default: segments.append(segment)
            }
        }
        return "/" + segments.joined(separator: "/")
    }
}
