import Base
import Crypto

/// The keys of the opening handshake (RFC 6455 section 4).
public enum WebSocketHandshake {
    /// The only version there is.
    public static let version = "13"

    /// Whether text is a `Sec-WebSocket-Key`: base64 of 16 bytes.
    public static func isKey(_ key: String) -> Bool {
        Base64.decode(key)?.count == 16
    }

    /// The `Sec-WebSocket-Accept` that answers a key.
    public static func accept(for key: String) -> String {
        Base64.encode(Digest.sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }
}
