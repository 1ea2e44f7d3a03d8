package import Base
import RelayEngine

/// What a client needs to reach the relay: the members of WebRTC's RTCIceServer, and how long they count.
package struct RelayCredentials: Equatable, Sendable {
    package let urls: [String]
    package let username: String
    package let credential: String
    package let ttlSeconds: Int64
}

extension RelayService {
    /// Mints credentials for a user after the TURN REST convention.
    ///
    /// - Parameter now: the wall clock, by which the relay judges the expiry too.
    package func iceServers(for user: UserAddress, now: WallTime) -> RelayCredentials {
        let lifetime = configuration.credentialLifetimeSeconds
        let username = RESTCredentials(user: user, expiresAt: WallTime(seconds: now.seconds + lifetime)).username
        return RelayCredentials(
            urls: urls, username: username,
            credential: RESTCredentials.password(username: username, secret: configuration.sharedSecret),
            ttlSeconds: lifetime)
    }

    /// STUN and TURN URIs (RFC 7064, RFC 7065) of the first listener and the first for TLS: UDP before TCP, and last what gets
    /// through where nothing else does.
    package var urls: [String] {
        let port = listenAddresses[0].port
        let host = publicHost(listenAddresses[0].ip)
        let plain = ["stun:\(host):\(port)"] + ["udp", "tcp"].map { "turn:\(host):\(port)?transport=\($0)" }
        guard let secured = tlsListenAddresses.first else { return plain }
        let place = "\(publicHost(secured.ip)):\(secured.port)"
        return plain + ["turns:\(place)?transport=tcp", "turns:\(place)?transport=udp"]
    }

    private func publicHost(_ listener: IPAddress) -> String {
        let ip = relayAddresses[listener.family]?.relayed ?? listener
        return configuration.publicHost ?? (ip.family == .v4 ? "\(ip)" : "[\(ip)]")
    }
}
