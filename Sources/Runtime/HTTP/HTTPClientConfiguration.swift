package import Base
import HTTPCodec

extension HTTPClient {
    package struct Configuration: Equatable, Sendable {
        /// For the name, the connection and the TLS handshake together.
        package var connectTimeoutMs = 5_000
        /// From the end of a request to the head of its answer.
        package var responseTimeoutMs = 30_000
        /// Without any byte of an answer's body that is waited for.
        package var bodyTimeoutMs = 30_000
        /// Without progress in sending: 256 KiB must pass within it.
        package var sendTimeoutMs = 60_000
        /// From the call to the end of the answer's body; 0 for as long as it makes progress.
        package var totalTimeoutMs = 0
        /// How long an idle connection is kept; shorter than servers keep theirs.
        package var idleTimeoutMs = 20_000
        /// A connection that is older serves no further request.
        package var maxConnectionAgeMs = 3_600_000
        package var maxIdleConnections = 16
        /// Idle connections and those at work together; WebSockets are their owners' affair.
        package var maxConnections = 1024
        /// Of `maxConnections`, those to one scheme, host and port.
        package var maxConnectionsPerOrigin = 256
        /// Requests that may wait for a connection; more fail at once.
        package var maxQueuedRequests = 1024
        /// How long a request may wait for a connection.
        package var queueTimeoutMs = 10_000
        package var maxHeadBytes = 65_536
        package var maxHeadFields = 200
        /// Of an answer; a longer one fails while it is read. A request may set a limit of its own.
        package var maxBodyBytes = 1 << 40
        /// Every address that a name resolves to is judged before it is connected to, and one in a URL likewise.
        package var addresses = AddressPolicy.any
        /// A socket of the file system that every connection goes to instead of the URL's host.
        package var unixSocketPath: String?
        package var webSocket = WebSocket.Configuration()

        package init() {}

        func bodyLimits(maxBytes: Int?) -> HTTP1BodyLimits {
            HTTP1BodyLimits(
                silence: .milliseconds(bodyTimeoutMs), minBytesPerSecond: 0, maxBytes: maxBytes ?? maxBodyBytes,
                chunks: HTTPChunkLimits())
        }
    }
}
