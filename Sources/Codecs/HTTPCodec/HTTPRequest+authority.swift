extension HTTPRequest {
    /// Makes a request of HTTP/2 what it would be over HTTP/1.1: the authority becomes `Host`, and what would be refused there
    /// is refused here (RFC 9113 section 8.3.1).
    public mutating func adopt(authority: String?) throws(HTTPParsingError) {
        guard isToken(method) else { throw .malformedStartLine }
        let isOfOptions = target == "*" && method == "OPTIONS"
        guard target.utf8.first == UInt8(ascii: "/") || isOfOptions, target.utf8.allSatisfy(isTargetCharacter) else {
            throw .malformedTarget
        }
        let hosts = fields.values(of: "Host")
        guard let host = authority ?? hosts.first, hosts.isEmpty || hosts == [host] else { throw .missingHost }
        guard !host.isEmpty, isHost(host.utf8) else { throw .invalidHost }
        fields["Host"] = host
    }
}
