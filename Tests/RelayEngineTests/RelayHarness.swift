import Base
import RelayEngine
import STUN

/// An engine under a clock that the test moves, with a client that knows how to ask.
final class RelayHarness {
    static let realm = "example.org"
    static let secret = Array("north".utf8)
    /// The realm that the harness has unless it is told otherwise.
    static func defaultRealm(
        _ name: String = realm, _ change: (inout RelayRealm.Configuration) -> Void = { _ in }
    ) -> RelayRealm {
        var configuration = RelayRealm.Configuration(name: name)
        configuration.sharedSecrets = [secret]
        change(&configuration)
        return RelayRealm(configuration)
    }

    static let server = SocketAddress("198.18.0.1:3478")!
    static let client = SocketAddress("198.51.100.7:40000")!
    static let relay = IPAddress("8.8.4.4")!
    static let peer = SocketAddress("9.9.9.9:5000")!

    final class Client {
        var address = RelayHarness.client
        let username: String
        let secret: [UInt8]
        var nonce: String?

        init(
            username: String = "2000000600:default:alice", secret: [UInt8] = RelayHarness.secret, nonce: String? = nil
        ) {
            self.username = username
            self.secret = secret
            self.nonce = nonce
        }

        var key: LongTermKey {
            LongTermKey(
                username: username, realm: RelayHarness.realm,
                password: RESTCredentials.password(username: username, secret: secret))
        }
    }

    struct Answer {
        var code: STUNErrorCode?
        var bytes: [UInt8]
        var closed: RelayEngine.Closed?

        var isSuccess: Bool { code == nil }

        func read<Value>(_ body: (borrowing STUNMessage) -> Value) -> Value {
            guard let message = try? STUNMessage(bytes.span.bytes) else { preconditionFailure("not STUN") }
            return body(message)
        }
    }

    var engine: RelayEngine
    let ports: RelayedPorts
    let family: IPAddress.Family
    var now = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    var wallTime = WallTime(seconds: 2_000_000_000)
    var transactions: UInt64 = 0
    var nextPort: UInt16 = 50_000
    /// Of a family's ports none is free.
    var familyWithoutPorts: IPAddress.Family?
    /// What EVEN-PORT with the reservation bit is answered with.
    static let token: UInt64 = 0x0102_0304_0506_0708
    /// The mobile allocation that the last request asked another event loop for.
    var elsewhere: UInt64?
    /// Whom the last answer of NAT discovery goes to, and by which listener.
    var redirected: FiveTuple?
    /// What the service's quota would say.
    var refusal: STUNErrorCode?
    var credit = BandwidthCredit()
    /// The realm that clients come to.
    var realmIndex: UInt8 = 0
    /// Over which clients come.
    var transport = FiveTuple.Transport.udp
    /// What the last Connect and ConnectionBind request asked the service for.
    var connecting: PendingConnection?
    var binding: PendingBinding?
    /// What the operator's server was asked last.
    var asked: AuthorizationQuery?

    init(
        relayed: IPAddress = relay, bound: IPAddress? = nil, relayedV6: IPAddress? = nil,
        ownAddresses: [IPAddress] = [],
        ownPorts: [UInt16] = [3478],
        allowsLoopback: Bool = false, _ change: (inout RelayEngine.Configuration) -> Void = { _ in }
    ) {
        var configuration = RelayEngine.Configuration(
            realms: [Self.defaultRealm()], nonceSecret: [1, 2, 3, 4, 5, 6, 7, 8],
            ticketKey: Array(repeating: 7, count: 32))
        change(&configuration)
        ports = RelayedPorts()
        family = relayed.family
        let address = RelayAddress(relayed: relayed, bound: bound ?? relayed)
        let addresses =
            relayedV6.map { RelayAddresses(v4: address, v6: RelayAddress($0)) } ?? RelayAddresses(address)
        var rules = PeerPolicy.Rules()
        rules.ownAddresses = OwnAddresses(ownAddresses)
        rules.ownPorts = ownPorts
        rules.allowsLoopback = allowsLoopback
        engine = RelayEngine(
            configuration: configuration,
            policy: PeerPolicy(
                addresses: addresses, rules: rules,
                relayedPorts: ports))
    }

    func newTransaction() -> TransactionID {
        transactions += 1
        return TransactionID(high: 7, low: transactions)
    }

    static func tuple(_ client: SocketAddress) -> FiveTuple { FiveTuple(client: client, server: server) }

    static func message(
        _ type: STUNMessageType, _ transactionID: TransactionID, as client: Client? = nil, fingerprint: Bool = false,
        _ body: (inout STUNWriter) -> Void
    ) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(into: buffer, type: type, transactionID: transactionID)
            body(&writer)
            if let client, let nonce = client.nonce {
                writer.append(.username, text: client.username)
                writer.append(.realm, text: realm)
                writer.append(.nonce, text: nonce)
                return writer.finish(integrity: (.sha1, client.key), fingerprint: fingerprint)
            }
            return writer.finish(fingerprint: fingerprint)
        }
        return Array(buffer[..<count])
    }

    /// Hands a datagram to `answer` as the service does; nil is silence.
    func answer(_ datagram: [UInt8], from client: SocketAddress = client) -> Answer? {
        let tuple = FiveTuple(client: client, server: Self.server, transport: transport, realm: realmIndex)
        guard engine.receive(datagram.span.bytes, from: tuple, now: now) == .request else { return nil }
        var output = [UInt8](repeating: 0, count: RelayEngine.maxAnswerByteCount)
        var closed: RelayEngine.Closed?
        let count: Int? = output.withUnsafeMutableBytes { output in
            switch engine.answer(datagram.span.bytes, from: tuple, now: now, wallTime: wallTime, into: output) {
            case .silence:
                return nil
            case .respond(let count):
                return count
            case .respondBy(let tuple, let count):
                redirected = tuple
                return count
            case .ask(let query):
                asked = query
                return nil
            case .connect(let pending):
                connecting = pending
                return nil
            case .bindConnection(let pending):
                binding = pending
                return nil
            case .elsewhere(let number, let count):
                elsewhere = number
                return count
            case .closeRelay(let gone, let count):
                closed = gone
                for family in gone.ports.families { ports.close(gone.ports[family] ?? 0, family) }
                return count
            case .closeFamily(_, let family, let port, let count):
                ports.close(port, family)
                return count
            case .openRelay(let pending, let former):
                closed = former
                if let refusal { return engine.refuseAllocation(pending, refusal, into: output) }
                let opened = open(pending)
                return engine.completeAllocation(pending, opened, credit, now: now, into: output).responseCount
            }
        }
        return count.map { count in
            let bytes = Array(output[..<count])
            return Answer(
                code: Answer(bytes: bytes).read { $0.errorCode }, bytes: bytes, closed: closed)
        }
    }

    /// What the service would open; the first family that the test says is missing is not.
    private func open(_ pending: PendingAllocation) -> OpenedRelay {
        var opened = OpenedRelay(ports: AllocatedPorts(), missingFamily: pending.missingFamily)
        for family in pending.families {
            if family == familyWithoutPorts {
                opened.missingFamily = MissingFamily(family, .insufficientCapacity)
                continue
            }
            nextPort += 1
            if pending.portWish != .any { nextPort += nextPort % 2 }
            ports.open(nextPort, family)
            opened.ports[family] = nextPort
        }
        if pending.portWish == .evenAndNext { opened.reservationToken = Self.token }
        return opened
    }

    /// One authenticated request, after the 401 that gives the nonce.
    func ask(
        _ method: STUNMethod, as client: Client, transactionID: TransactionID? = nil,
        _ body: (inout STUNWriter) -> Void = { _ in }
    ) -> Answer? {
        if client.nonce == nil {
            let challenge = answer(
                Self.message(STUNMessageType(method, .request), newTransaction()) { _ in }, from: client.address)
            client.nonce = challenge?.read { $0.text(.nonce) } ?? nil
        }
        let id = transactionID ?? newTransaction()
        return answer(
            Self.message(STUNMessageType(method, .request), id, as: client, body), from: client.address)
    }

    func allocate(as client: Client, transactionID: TransactionID? = nil) -> Answer? {
        ask(.allocate, as: client, transactionID: transactionID) { $0.append(.requestedTransport, leadingByte: 17) }
    }

    func permit(_ peer: SocketAddress, as client: Client) -> Answer? {
        ask(.createPermission, as: client) { $0.append(.xorPeerAddress, xorAddress: peer) }
    }

    func bind(_ channel: UInt16, to peer: SocketAddress, as client: Client) -> Answer? {
        ask(.channelBind, as: client) {
            $0.append(channelNumber: channel)
            $0.append(.xorPeerAddress, xorAddress: peer)
        }
    }

    func send(
        _ payload: [UInt8], to peer: SocketAddress, from client: SocketAddress = client
    ) -> RelayEngine.ClientAction {
        let datagram = Self.message(STUNMessageType(.send, .indication), newTransaction()) {
            $0.append(.xorPeerAddress, xorAddress: peer)
            $0.append(.data, bytes: payload)
        }
        return engine.receive(datagram.span.bytes, from: Self.tuple(client), now: now)
    }

    func sendChannelData(
        _ payload: [UInt8], _ channel: UInt16, from client: SocketAddress = client
    ) -> RelayEngine.ClientAction {
        var datagram: [UInt8] = [0, 0, 0, 0]
        datagram.withUnsafeMutableBytes {
            ChannelData.writeHeader(channel: channel, payloadCount: payload.count, into: $0)
        }
        datagram += payload
        return engine.receive(datagram.span.bytes, from: Self.tuple(client), now: now)
    }

    func drops(_ reason: RelayDropReason) -> UInt64 { engine.statistics.drops[reason.rawValue] }
}
