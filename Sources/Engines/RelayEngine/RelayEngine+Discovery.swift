import Base
import STUN

/// Binding requests, among them those that discover how NATs behave (RFC 5780), where the node has the listeners for it.
extension RelayEngine {
    /// PADDING of an answer is as long as the request's, up to this (section 7.6 says the interface's MTU): what is sent to an
    /// address that may be made up is never much more than came from it.
    static let maxPaddingByteCount = 1500

    mutating func bind(
        _ message: borrowing STUNMessage, _ answer: inout Answer, now: MonotonicInstant
    ) -> RequestOutcome {
        let client = answer.tuple.client
        // A client that holds an allocation is known; it may ask as often as it likes.
        guard liveAllocation(of: answer.tuple, now: now) != nil || limiter.allows(client.ip, now: now)
        else { return silence(.rateLimited) }
        let alternates = answer.tuple.transport == .udp ? configuration.discovery?[answer.tuple.listener] : nil
        // As many as fit into the answer's bound.
        let unknown = message.unknownAttributes(
            limit: 4, understood: alternates == nil ? .relay : .relay.union(.discovery))
        guard unknown.isEmpty else {
            answer.wantsFingerprint = false
            return fail(.unknownAttribute, answer) { $0.append(unknownAttributes: unknown) }
        }
        statistics.bindings[Int(answer.tuple.transport.rawValue)] += 1
        guard let alternates else {
            return .respond(answer.succeed { $0.append(.xorMappedAddress, xorAddress: client) })
        }
        return discover(message, answer, alternates)
    }

    private mutating func discover(
        _ message: borrowing STUNMessage, _ answer: Answer, _ alternates: DiscoveryListeners.Alternates
    ) -> RequestOutcome {
        let tuple = answer.tuple
        var (origin, target) = (
            DiscoveryListeners.Listener(index: tuple.listener, address: tuple.server), tuple.client
        )
        guard let change = message.changeRequest else { return fail(.badRequest, answer) }
        if change.contains([.address, .port]) {
            origin = alternates.both
        } else if change.contains(.address) {
            origin = alternates.ip
        } else if change.contains(.port) {
            origin = alternates.port
        }
        let padding = message.attribute(.padding).map { min($0.count, Self.maxPaddingByteCount) }
        if message.attribute(.responsePort) != nil {
            guard padding == nil, let port = message.responsePort else { return fail(.badRequest, answer) }
            target = SocketAddress(tuple.client.ip, port: port)
        }
        let count = answer.succeed {
            $0.append(.mappedAddress, address: tuple.client)
            $0.append(.xorMappedAddress, xorAddress: tuple.client)
            $0.append(.responseOrigin, address: origin.address)
            $0.append(.otherAddress, address: alternates.both.address)
            if let padding { $0.append(.padding, bytes: repeatElement(0, count: padding)) }
        }
        return .respondBy(FiveTuple(client: target, server: origin.address, listener: origin.index), count)
    }
}
