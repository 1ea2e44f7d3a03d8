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

    /// STUN and TURN URIs (RFC 7064, RFC 7065) of the first listener.
    package var urls: [String] {
        let listener = listenAddresses[0]
        let ip = relayAddresses[listener.ip.family]?.relayed ?? listener.ip
        let host = configuration.publicHost ?? (ip.family == .v4 ? "\(ip)" : "[\(ip)]")
        return ["stun:\(host):\(listener.port)", "turn:\(host):\(listener.port)?transport=udp"]
    }
}
