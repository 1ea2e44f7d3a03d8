extension HTTPServer {
    /// Limits that only connections of HTTP/2 have. Timeouts and the limits of heads are those of HTTP/1.1.
    ///
    /// What a peer may do too often is counted in periods; whoever goes beyond a bound is told to calm down and cut off.
    package struct HTTP2Configuration: Equatable, Sendable {
        /// Requests that one connection may have open at once.
        package var maxConcurrentStreams = 100
        /// Bytes of one request's body that may come before its handler reads them.
        package var streamWindowBytes = 262_144
        /// Bytes of all bodies of a connection that may come before their handlers read them.
        package var connectionWindowBytes = 1_048_576
        /// CONTINUATION frames behind one HEADERS frame.
        package var maxContinuationFrames = 8
        /// What the bounds below are counted over.
        package var abusePeriodMs = 10_000
        /// Requests that the client gave up in a period, beyond those that were answered in it.
        package var maxResets = 200
        /// Requests that this side had to reset for the client's faults in a period.
        package var maxFaultyStreams = 100
        /// SETTINGS frames in a period.
        package var maxSettingsFrames = 20
        /// PING frames in a period.
        package var maxPings = 100
        /// DATA frames without data that end nothing, in a period.
        package var maxEmptyDataFrames = 100
        /// WINDOW_UPDATE frames in a period, beyond ten for each DATA frame that was sent in it.
        package var maxWindowUpdates = 1_000
        /// PRIORITY frames in a period; they are ignored.
        package var maxPriorityFrames = 1_000

        package init() {}
    }
}
