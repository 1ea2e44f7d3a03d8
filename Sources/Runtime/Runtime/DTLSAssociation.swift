public import Base

/// One client of a `DTLSServer`. Used on the server's loop.
public final class DTLSAssociation {
    public let remoteAddress: SocketAddress
    /// Our address that its hello came to, if the server was told.
    public let localAddress: IPAddress?
    let session: DTLSSession
    var lastArrival: MonotonicInstant
    /// Whether the server's handler knows of it.
    var isAnnounced = false
    /// Until then, where it stands in the server's list of handshakes.
    var handshakeIndex = 0
    private let begin: MonotonicInstant
    /// Whoever keeps the association may do so for longer than the server stands.
    private weak var server: DTLSServer?
    private let loop: EventLoop
    private var timer: TimerID?

    init(_ session: DTLSSession, with address: SocketAddress, at local: IPAddress?, of server: DTLSServer) {
        self.session = session
        self.server = server
        loop = server.loop
        remoteAddress = address
        localAddress = local
        begin = loop.now
        lastArrival = begin
    }

    /// Seals the bytes as one record in one datagram.
    ///
    /// - Returns: false when the association is not open, or the bytes are more than `DTLSSession.maxRecordBytes`.
    @discardableResult
    public func send(_ bytes: UnsafeRawBufferPointer) -> Bool { session.send(bytes) }

    /// Tells the client, and forgets it. Closing twice does nothing.
    public func close() {
        guard let server else { return session.close() }
        server.end(self)
    }

    /// The protocol chosen by ALPN (RFC 7301).
    public var applicationProtocol: String? { session.applicationProtocol }

    /// The name that the client asks for (SNI, RFC 6066); nil without one.
    public var requestedServerName: String? { session.requestedServerName }

    /// The name of the SRTP protection profile that was agreed on (RFC 5764 section 4.1.2).
    public var srtpProfile: String? { session.srtpProfile }

    /// Keys that both sides can compute (RFC 5705).
    public func exportKeyingMaterial(label: String, count: Int) -> [UInt8] {
        session.exportKeyingMaterial(label: label, count: count)
    }

    // MARK: Its timer

    func isOverdue(at now: MonotonicInstant, by configuration: DTLSServer.Configuration) -> Bool {
        now >= deadline(configuration)
    }

    private func deadline(_ configuration: DTLSServer.Configuration) -> MonotonicInstant {
        session.state == .open
            ? lastArrival + .milliseconds(configuration.idleTimeoutMs)
            : begin + .milliseconds(configuration.handshakeTimeoutMs)
    }

    /// Sets the timer for what comes first: a retransmission, or the end of the patience.
    func arm(_ configuration: DTLSServer.Configuration) {
        disarm()
        var next = deadline(configuration)
        if let wait = session.retransmitsIn { next = min(next, loop.now + wait) }
        timer = loop.schedule(at: next) { [weak self] in
            guard let self else { return }
            timer = nil
            server?.tick(self)
        }
    }

    func disarm() {
        if let timer { loop.cancel(timer) }
        timer = nil
    }
}
