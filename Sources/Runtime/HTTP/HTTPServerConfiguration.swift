import HTTPCodec

extension HTTPServer {
    package struct Configuration: Equatable, Sendable {
        /// The request line and all header fields together.
        package var maxHeadBytes = 32_768
        package var maxHeadFields = 100
        /// From the first byte of a head to its last.
        package var headTimeoutMs = 10_000
        /// Between two requests on one connection, and before the first.
        package var idleTimeoutMs = 75_000
        /// Without any byte of a body that is waited for.
        package var bodyTimeoutMs = 30_000
        /// Without progress of an answer: 256 KiB must pass within it.
        package var sendTimeoutMs = 60_000
        /// What a handler left unread of a body is read and dropped up to this, so that the connection can go on.
        package var maxDrainedBodyBytes = 262_144
        package var webSocket = WebSocket.Configuration()

        package init() {}

        var headLimits: HTTPHeadLimits { HTTPHeadLimits(maxBytes: maxHeadBytes, maxFields: maxHeadFields) }
    }
}
