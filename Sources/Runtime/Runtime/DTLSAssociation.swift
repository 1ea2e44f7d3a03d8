public import Base

/// One client of a `DTLSServer`. Used on the server's loop.
public final class DTLSAssociation {
    public let remoteAddress: SocketAddress
    let session: DTLSSession
    var lastArrival: MonotonicInstant
    /// Whether the server's handler knows of it.
    var isAnnounced = false
    /// Until then, where it stands in the server's list of handshakes.
    var handshakeIndex = 0
    private let begin: MonotonicInstant
    private unowned let server: DTLSServer
    private var timer: TimerID?

    init(_ session: DTLSSession, with address: SocketAddress, of server: DTLSServer) {
        self.session = session
        self.server = server
        remoteAddress = address
        begin = server.loop.now
        lastArrival = begin
    }

    /// Seals the bytes as one record in one datagram.
    ///
    /// - Returns: false when the association is not open, or the bytes are more than `DTLSSession.maxRecordBytes`.
    @discardableResult
    public func send(_ bytes: UnsafeRawBufferPointer) -> Bool { session.send(bytes) }

    /// Tells the client, and forgets it. Closing twice does nothing.
    public func close() { server.end(self) }

    /// The protocol chosen by ALPN (RFC 7301).
    public var applicationProtocol: String? { session.applicationProtocol }

    /// The name of the SRTP protection profile that was agreed on (RFC 5764 section 4.1.2).
    public var srtpProfile: String? { session.srtpProfile }

    /// Keys that both sides can compute (RFC 5705).
    public func exportKeyingMaterial(label: String, count: Int) -> [UInt8] {
        session.exportKeyingMaterial(label: label, count: count)
    }

    // MARK: Its timer

    func isOverdue(at now: MonotonicInstant) -> Bool { now >= deadline }

    private var deadline: MonotonicInstant {
        session.state == .open
            ? lastArrival + .milliseconds(server.configuration.idleTimeoutMs)
            : begin + .milliseconds(server.configuration.handshakeTimeoutMs)
    }

    /// Sets the timer for what comes first: a retransmission, or the end of the patience.
    func arm() {
        disarm()
        let now = server.loop.now
        var next = deadline
        if let wait = session.retransmitsIn { next = min(next, now + wait) }
        timer = server.loop.schedule(at: next) { [weak self] in
            guard let self else { return }
            timer = nil
            server.tick(self)
        }
    }

    func disarm() {
        if let timer { server.loop.cancel(timer) }
        timer = nil
    }
}
