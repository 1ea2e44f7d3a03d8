package import Base

/// What one end of a call tells the other, as SDP (RFC 8866): where its media is to be sent, which is its relayed
/// transport address, and the one Opus stream that it sends (RFC 7587).
package struct CallDescription: Equatable, Sendable {
    package static let payloadType: UInt8 = 111

    package var address: SocketAddress
    package var ssrc: UInt32
    /// Names the session; both ends may differ.
    package var session: UInt64

    package init(address: SocketAddress, ssrc: UInt32, session: UInt64) {
        self.address = address
        self.ssrc = ssrc
        self.session = session
    }

    package var sdp: String {
        let family = address.ip.family == .v4 ? "IP4" : "IP6"
        return [
            "v=0", "o=- \(session) 1 IN \(family) \(address.ip)", "s=-", "c=IN \(family) \(address.ip)", "t=0 0",
            "m=audio \(address.port) RTP/AVP \(Self.payloadType)", "a=rtpmap:\(Self.payloadType) opus/48000/2",
            "a=ptime:20", "a=rtcp-mux", "a=ssrc:\(ssrc) cname:skerry", "a=sendrecv", "",
        ].joined(separator: "\r\n")
    }

    /// Reads the address, the port and the SSRC; nil where one of them is missing.
    package init?(sdp: String) {
        var ip: IPAddress?
        var port: UInt16?
        var ssrc: UInt32?
        var session: UInt64 = 0
        for line in sdp.split(whereSeparator: \.isNewline) {
            let words = line.dropFirst(2).split(separator: " ")
            switch line.prefix(2) {
            case "o=" where words.count == 6: session = UInt64(words[1]) ?? 0
            case "c=" where words.count == 3: ip = IPAddress(words[2])
            case "m=" where words.count >= 4 && words[0] == "audio": port = UInt16(words[1])
            case "a=" where words.first?.hasPrefix("ssrc:") == true:
                ssrc = ssrc ?? words.first.flatMap { UInt32($0.dropFirst(5)) }
            default: break
            }
        }
        guard let ip, let port, port != 0, let ssrc else { return nil }
        self.init(address: SocketAddress(ip, port: port), ssrc: ssrc, session: session)
    }
}
