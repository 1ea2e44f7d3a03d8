/// Bounds that are part of the protocol: every decoder refuses what lies beyond.
public enum WireLimits {
    /// Bytes of a message's or status's payload, and of a call frame's data.
    public static let maxPayloadBytes = 256 * 1024
    /// Bytes of a text frame from a client: a payload in base64, and the rest.
    public static let maxClientTextFrameBytes = 384 * 1024
    /// Bytes of a text frame from the server: what fits into a frame of the uplink, in base64.
    public static let maxServerTextFrameBytes = 6 * 1024 * 1024
    /// Users in the audience of a status.
    public static let maxAudienceUsers = 4096
    /// Items in one `status.items`.
    public static let maxStatusItems = 4096
    /// Bytes of a JWT.
    public static let maxTokenBytes = 8192
    /// Bytes of a resume token.
    public static let maxResumeTokenBytes = 512
    /// Bytes of a client's description of itself.
    public static let maxClientNameBytes = 128
    /// Bytes of a message for people in an error, of a reason, of a content type, of a path.
    public static let maxTextBytes = 1024
    /// The longest expiry that a frame may ask for: 30 days.
    public static let maxExpirySeconds: Int64 = 30 * 86400
    /// Bytes of one frame on the uplink.
    public static let maxUplinkFrameBytes = 4 * 1024 * 1024
    /// Elements of a repeated field on the uplink.
    public static let maxUplinkElements = 16384
}
