public import Base
import Crypto

/// What a server of DTLS tells about its associations. Called on the loop.
public protocol DTLSServerHandler: AnyObject {
    /// Whether a client that has shown a good cookie, so has this address, may begin a handshake, which costs a signature. By default
    /// all may.
    func admitsHandshake(from address: SocketAddress) -> Bool
    func associationOpened(_ association: DTLSAssociation)
    /// One record. The bytes, and `DTLSServer.headroom` before and `tailroom` behind them, may be written during the call.
    func association(_ association: DTLSAssociation, received record: UnsafeMutableRawBufferPointer)
    /// Once, for each that was opened.
    func associationClosed(_ association: DTLSAssociation)
}

extension DTLSServerHandler {
    public func admitsHandshake(from address: SocketAddress) -> Bool { true }
}

/// The called side of DTLS 1.2 for many clients behind one UDP socket: datagrams are handed to it, and it hands out those to send.
///
/// Nothing is kept of a client before it has shown a cookie that only the holder of its address can know (RFC 6347 section 4.2.1).
/// Everything is done on one loop (precondition).
public final class DTLSServer {
    public struct Configuration: Equatable, Sendable {
        /// Clients above this get no answer to a hello that is good.
        public var maxAssociations = 10_000
        /// Of those, clients whose handshake is under way. One more takes the place of any of them, so that nobody can keep
        /// others out by handshakes that do not end.
        public var maxHandshakes = 1_000
        /// From the hello with a good cookie to the end of the handshake.
        public var handshakeTimeoutMs = 15_000
        /// Without a record from the client that is genuine.
        public var idleTimeoutMs = 900_000
        /// Bytes of a datagram of the handshake; longer messages go in fragments.
        public var maxDatagramBytes = 1_200
        /// A flight that is not answered is sent again after this, then after twice as long, and so on.
        public var firstRetransmissionMs = 1_000

        public init() {}
    }

    /// Bytes before every record that the receiver may write.
    public static let headroom = 64
    /// Bytes behind it.
    public static let tailroom = 64

    /// - Parameter from: our address that the client's hello came to, if `receive` was told.
    public typealias Transmit = (
        _ datagram: UnsafeRawBufferPointer, _ to: SocketAddress, _ from: IPAddress?
    ) -> Void

    public let loop: EventLoop
    /// Associations that stand, those in their handshake included.
    public var count: Int { associations.count }
    /// Of those, the ones in their handshake.
    public var handshakesUnderWay: Int { handshakes.count }
    public private(set) var handshakesCompleted: UInt64 = 0
    public private(set) var handshakesFailed: UInt64 = 0
    /// Good hellos without an answer, because there were too many clients, or the handler did not admit this one.
    public private(set) var refusals: UInt64 = 0

    let configuration: Configuration
    private var context: DTLSContext
    private let transmit: Transmit
    private unowned let handler: any DTLSServerHandler
    private var cookies: CookieMint
    private var associations: [SocketAddress: DTLSAssociation] = [:]
    /// Those in their handshake, in no order.
    private var handshakes: [DTLSAssociation] = []
    /// For hellos without an association: used again until one shows a good cookie, whose it is then.
    private var listener: DTLSSession?
    private var isClosed = false
    private let memory = UnsafeMutableRawBufferPointer.allocate(
        byteCount: headroom + DTLSSession.maxRecordBytes + tailroom, alignment: 64)

    /// - Parameters:
    ///   - handler: not kept alive.
    ///   - transmit: sends a datagram; what it cannot send is lost, as the network loses some.
    public init(
        _ context: DTLSContext, on loop: EventLoop, configuration: Configuration = Configuration(),
        handler: any DTLSServerHandler, transmit: @escaping Transmit
    ) {
        self.context = context
        self.loop = loop
        self.configuration = configuration
        self.handler = handler
        self.transmit = transmit
        cookies = CookieMint(now: loop.now)
    }

    deinit { memory.deallocate() }

    /// Shows another certificate to clients whose handshakes begin from here on.
    public func replace(_ context: DTLSContext) {
        loop.preconditionOnLoop()
        self.context = context
        listener = nil
    }

    /// Takes a datagram that has come in. Whatever is no DTLS is dropped; after `close`, everything is.
    ///
    /// - Parameter local: our address that it was sent to, where the socket has several.
    public func receive(
        _ datagram: UnsafeRawBufferPointer, from source: SocketAddress, at local: IPAddress? = nil
    ) {
        loop.preconditionOnLoop()
        guard !isClosed else { return }
        let standing = associations[source]
        if let hello = ClientHelloPrefix(datagram), !(standing.map { hello.belongs(to: $0.session) } ?? false) {
            listen(datagram, from: source, at: local, replacing: standing)
        } else if let standing {
            feed(datagram, to: standing)
        }
    }

    /// The association with a client; nil before its handshake is complete.
    public subscript(_ address: SocketAddress) -> DTLSAssociation? {
        guard let association = associations[address], association.session.state == .open else { return nil }
        return association
    }

    /// Ends every association, and tells the clients; no other is made from then on. Closing twice does nothing.
    public func close() {
        loop.preconditionOnLoop()
        isClosed = true
        listener = nil
        for association in Array(associations.values) { end(association) }
    }

    private func listen(
        _ datagram: UnsafeRawBufferPointer, from source: SocketAddress, at local: IPAddress?,
        replacing standing: DTLSAssociation?
    ) {
        guard let session = listener ?? makeSession() else { return }
        listener = session
        let transmit = transmit
        session.transmit = { transmit($0, source, local) }
        guard
            cookies.withCookies(
                for: source, now: loop.now, { session.listen(datagram, cookie: $0, previousCookie: $1) })
        else { return }
        listener = nil
        guard handler.admitsHandshake(from: source) else {
            refusals += 1
            return
        }
        // A client that has lost its state begins anew from the same address (RFC 6347 section 4.2.8).
        if let standing { end(standing) }
        guard !isClosed else { return }
        if handshakes.count >= configuration.maxHandshakes, let any = handshakes.randomElement() { end(any) }
        guard associations.count < configuration.maxAssociations else {
            refusals += 1
            return
        }
        let association = DTLSAssociation(session, with: source, at: local, of: self)
        associations[source] = association
        association.handshakeIndex = handshakes.count
        handshakes.append(association)
        proceed(association) { () throws(StreamError) in try session.advance() }
    }

    private func makeSession() -> DTLSSession? {
        try? DTLSSession(
            context, maxDatagramBytes: configuration.maxDatagramBytes,
            firstRetransmission: .milliseconds(configuration.firstRetransmissionMs))
    }

    private func feed(_ datagram: UnsafeRawBufferPointer, to association: DTLSAssociation) {
        let space = UnsafeMutableRawBufferPointer(
            rebasing: memory[Self.headroom..<Self.headroom + DTLSSession.maxRecordBytes])
        proceed(association) { () throws(StreamError) in
            try association.session.receive(datagram, into: space) { record in
                association.lastArrival = loop.now
                if !association.isAnnounced { announce(association) }
                // The handler may have refused it.
                guard association.session.state == .open else { return }
                handler.association(association, received: record)
            }
        }
    }

    /// Takes a step of the association, and sees to what became of it.
    private func proceed(_ association: DTLSAssociation, _ step: () throws(StreamError) -> Void) {
        do {
            try step()
        } catch {
            return end(association)
        }
        switch association.session.state {
        case .handshaking: association.arm(configuration)
        case .open: if !association.isAnnounced { announce(association) }
        case .closed: end(association)
        }
    }

    private func announce(_ association: DTLSAssociation) {
        association.isAnnounced = true
        endHandshake(association)
        association.lastArrival = loop.now
        handshakesCompleted += 1
        association.arm(configuration)
        handler.associationOpened(association)
    }

    /// Retransmits, or gives up a client that is silent for too long. Called by the association's timer.
    func tick(_ association: DTLSAssociation) {
        guard association.isOverdue(at: loop.now, by: configuration) else {
            return proceed(association) { () throws(StreamError) in
                try association.session.retransmit()
                association.arm(configuration)
            }
        }
        end(association)
    }

    func end(_ association: DTLSAssociation) {
        guard associations[association.remoteAddress] === association else { return }
        associations[association.remoteAddress] = nil
        association.disarm()
        association.session.close()
        if association.isAnnounced {
            handler.associationClosed(association)
        } else {
            endHandshake(association)
            handshakesFailed += 1
        }
    }

    /// The last of the list takes its place.
    private func endHandshake(_ association: DTLSAssociation) {
        let last = handshakes.removeLast()
        guard last !== association else { return }
        handshakes[association.handshakeIndex] = last
        last.handshakeIndex = association.handshakeIndex
    }
}
