import Base
import RelayEngine
import STUN

/// An engine with a client in front of it, which a requirement is tried on.
final class ConformanceBench {
    /// What came of a message.
    enum Reply: Equatable, ExpressibleByIntegerLiteral, CustomStringConvertible {
        case silence
        case success
        case refused(UInt16)

        init(integerLiteral value: UInt16) { self = .refused(value) }

        var description: String {
            switch self {
            case .silence: "silence"
            case .success: "success"
            case .refused(let code): "\(code)"
            }
        }
    }

    static let relayV6 = IPAddress("2001:4860:4860::8844")!
    static let peer = RelayHarness.peer
    static let otherPeer = SocketAddress("9.9.9.10:7000")!
    static let peerV6 = SocketAddress("[2620:fe::fe]:5000")!
    static let elsewhere = SocketAddress("198.51.100.8:50000")!

    private(set) var harness = RelayHarness(relayedV6: relayV6)
    let client = RelayHarness.Client()
    private(set) var lastAnswer: RelayHarness.Answer?
    private(set) var lastReply = Reply.silence

    /// Another engine than the one with both families and the default configuration.
    func configure(
        onlyV4: Bool = false, _ change: (inout RelayEngine.Configuration) -> Void = { _ in }
    ) {
        harness = RelayHarness(relayedV6: onlyV4 ? nil : Self.relayV6, change)
    }

    func pass(seconds: Int64) { harness.now = harness.now + .seconds(seconds) }

    // MARK: - Messages

    func note(_ answer: RelayHarness.Answer?) -> Reply {
        lastAnswer = answer
        lastReply = answer.map { $0.code.map { .refused($0.rawValue) } ?? .success } ?? .silence
        return lastReply
    }

    /// Bytes as they are, from the client.
    func receive(_ bytes: [UInt8]) -> Reply { note(harness.answer(bytes, from: client.address)) }

    func unsigned(
        _ method: STUNMethod, _ messageClass: STUNClass = .request, fingerprint: Bool = false,
        _ body: (inout STUNWriter) -> Void = { _ in }
    ) -> [UInt8] {
        RelayHarness.message(
            STUNMessageType(method, messageClass), harness.newTransaction(), fingerprint: fingerprint, body)
    }

    /// A request that is authenticated, after the challenge that gives the nonce.
    func signed(_ method: STUNMethod, _ body: (inout STUNWriter) -> Void = { _ in }) -> [UInt8] {
        if client.nonce == nil {
            let challenge = harness.answer(unsigned(method), from: client.address)
            client.nonce = challenge?.read { $0.text(.nonce) } ?? nil
        }
        return RelayHarness.message(
            STUNMessageType(method, .request), harness.newTransaction(), as: client, body)
    }

    func ask(_ method: STUNMethod, _ body: (inout STUNWriter) -> Void = { _ in }) -> Reply {
        receive(signed(method, body))
    }

    func binding(_ body: (inout STUNWriter) -> Void = { _ in }) -> Reply { receive(unsigned(.binding, .request, body)) }

    func allocate(_ body: (inout STUNWriter) -> Void = { _ in }) -> Reply {
        ask(.allocate) {
            $0.append(.requestedTransport, leadingByte: 17)
            body(&$0)
        }
    }

    /// An allocation of both families.
    func allocateBoth() -> Reply { allocate { $0.append(.additionalAddressFamily, leadingByte: 2) } }

    func permit(_ peers: SocketAddress...) -> Reply {
        ask(.createPermission) { for peer in peers { $0.append(.xorPeerAddress, xorAddress: peer) } }
    }

    func bind(_ channel: UInt16, to peer: SocketAddress) -> Reply {
        ask(.channelBind) {
            $0.append(channelNumber: channel)
            $0.append(.xorPeerAddress, xorAddress: peer)
        }
    }

    func refresh(lifetime: UInt32? = nil, _ body: (inout STUNWriter) -> Void = { _ in }) -> Reply {
        ask(.refresh) {
            if let lifetime { $0.append(.lifetime, number: lifetime) }
            body(&$0)
        }
    }

    // MARK: - What the last answer says

    func answer<Value>(_ body: (borrowing STUNMessage) -> Value?) -> Value? {
        lastAnswer.flatMap { $0.read(body) }
    }

    func has(_ type: STUNAttributeType) -> Bool { answer { $0.attribute(type) } != nil }

    /// The attributes' types in their order, those behind the integrity too.
    var types: [STUNAttributeType] {
        guard let bytes = lastAnswer?.bytes else { return [] }
        var types: [STUNAttributeType] = []
        var offset = 20
        while offset + 4 <= bytes.count {
            types.append(STUNAttributeType(rawValue: UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])))
            let count = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
            offset += 4 + (count + 3) & ~3
        }
        return types
    }

    var isAuthentic: Bool { answer { $0.hasValidIntegrity(client.key) } ?? false }
    var lifetime: UInt32? { answer { $0.number(.lifetime) } }

    var relayed: [SocketAddress] {
        answer { message in
            var found: [SocketAddress] = []
            var current = message.attribute()
            while let attribute = current {
                if attribute.type == .xorRelayedAddress, let address = message.xorAddress(attribute) {
                    found.append(address)
                }
                current = message.attribute(after: attribute)
            }
            return found
        } ?? []
    }

    // MARK: - Data

    /// Whether a Send indication reaches the peer.
    func sends(
        _ payload: [UInt8] = [1], to peer: SocketAddress = peer, _ body: (inout STUNWriter) -> Void = { _ in }
    ) -> Bool {
        let indication = unsigned(.send, .indication) {
            $0.append(.xorPeerAddress, xorAddress: peer)
            $0.append(.data, bytes: payload)
            body(&$0)
        }
        return relays(indication, payload, to: peer)
    }

    func sendsOnChannel(
        _ channel: UInt16, _ payload: [UInt8] = [1, 2], padding: Int = 0, to peer: SocketAddress = peer
    )
        -> Bool
    {
        var message: [UInt8] = [0, 0, 0, 0]
        message.withUnsafeMutableBytes {
            ChannelData.writeHeader(channel: channel, payloadCount: payload.count, into: $0)
        }
        return relays(message + payload + Array(repeating: 0, count: padding), payload, to: peer)
    }

    /// What becomes of a message that is no request.
    func action(_ message: [UInt8]) -> RelayEngine.ClientAction {
        harness.engine.receive(
            message.span.bytes,
            from: FiveTuple(client: client.address, server: RelayHarness.server, transport: harness.transport),
            now: harness.now)
    }

    private func relays(_ message: [UInt8], _ payload: [UInt8], to peer: SocketAddress) -> Bool {
        guard case .relay(_, let to, let range, _) = action(message) else { return false }
        return to == peer && Array(message[range]) == payload
    }

    /// The only one.
    var allocation: AllocationID? {
        harness.engine.sessions(limit: 1, now: harness.now, where: { _ in true }).first?.id
    }

    /// What becomes of a datagram of a peer.
    func hears(_ peer: SocketAddress = peer) -> RelayEngine.PeerAction {
        guard let id = allocation else { return .none }
        return harness.engine.receiveFromPeer(id, from: peer, payloadCount: 5, now: harness.now)
    }
}
