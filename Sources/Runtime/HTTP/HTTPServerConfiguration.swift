import HTTPCodec

extension HTTPServer {
    package struct Configuration: Equatable, Sendable {
        /// The request line and all header fields together.
        package var maxHeadBytes = 32_768
        package var maxHeadFields = 100
        package var maxTargetBytes = 8192
        /// Requests on one connection; behind the last it is closed.
        package var maxRequestsPerConnection = 100_000
        /// A longer body is refused with 413. Uploads of media have a limit of their own.
        package var maxBodyBytes = 1_048_576
        /// The fields behind a chunked body.
        package var maxTrailerBytes = 8192
        package var maxTrailerFields = 32
        /// From the first byte of a head to its last.
        package var headTimeoutMs = 10_000
        /// Between two requests on one connection, and before the first.
        package var idleTimeoutMs = 75_000
        /// Without any byte of a body that is waited for.
        package var bodyTimeoutMs = 30_000
        /// The waits for a body together may take the timeout and the time of its bytes at this rate; 0 for any rate.
        package var minBodyBytesPerSecond = 240
        /// Without progress of an answer: 256 KiB must pass within it.
        package var sendTimeoutMs = 60_000
        /// What a handler left unread of a body is read and dropped up to this, so that the connection can go on.
        package var maxDrainedBodyBytes = 262_144
        package var http2 = HTTP2Configuration()
        package var webSocket = WebSocket.Configuration()

        package init() {}

        var headLimits: HTTPHeadLimits {
            HTTPHeadLimits(maxBytes: maxHeadBytes, maxTargetBytes: maxTargetBytes, maxFields: maxHeadFields)
        }

        var bodyLimits: HTTP1BodyLimits {
            HTTP1BodyLimits(
                silence: .milliseconds(bodyTimeoutMs), minBytesPerSecond: minBodyBytesPerSecond, maxBytes: maxBodyBytes,
                chunks: HTTPChunkLimits(maxTrailerBytes: maxTrailerBytes, maxTrailerFields: maxTrailerFields))
        }
    }
}
