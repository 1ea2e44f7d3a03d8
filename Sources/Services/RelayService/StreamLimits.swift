/// What bounds the connections of clients, one by one.
struct StreamLimits: Sendable {
    let handshakeTimeoutMs: Int64
    let unauthenticatedTimeoutMs: Int64
    let queueBytes: Int
    /// A client is silent no longer than its allocation lives.
    let idleTimeoutMs: Int

    init(_ configuration: RelayService.Configuration) {
        handshakeTimeoutMs = configuration.handshakeTimeoutMs
        unauthenticatedTimeoutMs = configuration.unauthenticatedTimeoutMs
        queueBytes = configuration.connectionQueueBytes
        idleTimeoutMs = (configuration.maxLifetimeSeconds + 60) * 1000
    }
}
