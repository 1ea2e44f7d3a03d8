package import Base
package import Runtime

/// Finds the relay in the URLs of an RTCIceServer (RFC 7065).
package enum TURNServerAddress {
    /// Host and port of the first `turn:` URL over UDP.
    package static func first(in urls: [String]) -> (host: String, port: UInt16)? {
        urls.lazy.compactMap(parse).first
    }

    /// The address of the first `turn:` URL over UDP.
    ///
    /// - Throws: `EdgeError` where there is none, or its name has no address.
    package static func resolve(_ urls: [String], with resolver: HostResolver) async throws -> SocketAddress {
        guard let (host, port) = first(in: urls) else {
            throw EdgeError(.invalid, "none of the ICE servers is a TURN relay over UDP", side: .upstream)
        }
        guard let address = try await resolver.resolve(host, port: port).first else {
            throw EdgeError(.unavailable, "\(host) has no address", side: .upstream, isRetryable: true)
        }
        return address
    }

    private static func parse(_ url: String) -> (host: String, port: UInt16)? {
        guard url.hasPrefix("turn:") else { return nil }
        let parts = url.dropFirst("turn:".count).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 1 || parts[1] == "transport=udp", let place = parts.first, !place.isEmpty else {
            return nil
        }
        if place.first == "[" {
            guard let end = place.firstIndex(of: "]") else { return nil }
            let rest = place[place.index(after: end)...]
            let host = String(place[place.index(after: place.startIndex)..<end])
            if rest.isEmpty { return (host, 3478) }
            guard rest.first == ":", let port = UInt16(rest.dropFirst()) else { return nil }
            return (host, port)
        }
        guard let colon = place.lastIndex(of: ":") else { return (String(place), 3478) }
        guard let port = UInt16(place[place.index(after: colon)...]) else { return nil }
        return (String(place[..<colon]), port)
    }
}
