import Base
import STUN
import Testing

@testable import RelayEngine

/// NAT behaviour discovery (RFC 5780 section 6.1).
@Suite struct DiscoveryTests {
    /// The harness asks the first of them.
    static let listeners = [
        "198.18.0.1:3478", "[2001:db8::1]:3478", "198.18.0.1:3479", "198.18.0.2:3478", "198.18.0.2:3479",
    ].map { SocketAddress($0)! }

    let relay = RelayHarness { $0.discovery = DiscoveryListeners(among: listeners) }

    private func ask(_ body: (inout STUNWriter) -> Void = { _ in }) -> RelayHarness.Answer? {
        relay.redirected = nil
        return relay.answer(RelayHarness.message(STUNMessageType(.binding, .request), relay.newTransaction(), body))
    }

    private static func address(_ type: STUNAttributeType, in answer: RelayHarness.Answer) -> SocketAddress? {
        answer.read { message in
            message.value(type).flatMap { value in
                guard value.count == 8, value[1] == 1 else { return nil }
                let bits = value[4...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                return SocketAddress(IPAddress(v4: bits), port: UInt16(value[2]) << 8 | UInt16(value[3]))
            }
        }
    }

    /// Table 1: from where it is answered, for each pair of flags.
    @Test(arguments: [(nil, 0), (0, 0), (2, 2), (4, 3), (6, 4), (UInt32.max, 4)])
    func whereAnswersComeFrom(flags: UInt32?, listener: Int) throws {
        let answer = try #require(
            ask { writer in
                if let flags { writer.append(.changeRequest, number: flags) }
            })
        let tuple = try #require(relay.redirected)
        #expect(answer.isSuccess)
        #expect(tuple.client == RelayHarness.client)
        #expect(tuple.server == Self.listeners[listener] && tuple.listener == listener)
        #expect(Self.address(.responseOrigin, in: answer) == Self.listeners[listener])
        #expect(Self.address(.otherAddress, in: answer) == Self.listeners[4])
        #expect(Self.address(.mappedAddress, in: answer) == RelayHarness.client)
        #expect(answer.read { $0.xorAddress(.xorMappedAddress) } == RelayHarness.client)
        #expect(answer.bytes.count == 68)
    }

    @Test func theAnswerGoesToAnotherPort() throws {
        let answer = try #require(ask { $0.append(.responsePort, number: 5000 << 16) })
        #expect(answer.read { $0.xorAddress(.xorMappedAddress) } == RelayHarness.client)
        #expect(relay.redirected?.client == SocketAddress(RelayHarness.client.ip, port: 5000))
        #expect(relay.redirected?.server == Self.listeners[0])
    }

    /// Never much more than was asked with: the address that asks may be made up.
    @Test(arguments: [0, 4, 600, 1500, 2000])
    func paddingIsAnsweredWithAsMuch(count: Int) throws {
        let answer = try #require(ask { $0.append(.padding, bytes: [UInt8](repeating: 7, count: count)) })
        #expect(answer.read { $0.value(.padding) } == [UInt8](repeating: 0, count: min(count, 1500)))
    }

    @Test func whatCannotBe() {
        #expect(ask { $0.append(.changeRequest, bytes: [0, 6]) }?.code == .badRequest)
        #expect(ask { $0.append(.responsePort, number: 0) }?.code == .badRequest)
        #expect(ask { $0.append(.responsePort, bytes: [1, 2, 3]) }?.code == .badRequest)
        let both = ask {
            $0.append(.responsePort, number: 5000 << 16)
            $0.append(.padding, bytes: [1, 2, 3, 4])
        }
        #expect(both?.code == .badRequest)
        #expect(relay.redirected == nil)
    }

    /// Who has no second address says so with 420, and of OTHER-ADDRESS nothing.
    @Test(arguments: [STUNAttributeType.changeRequest, .responsePort, .padding])
    func withoutASecondAddress(attribute: STUNAttributeType) throws {
        // The listener that is asked has index 0: none, or that of the lonely address of IPv6.
        let lonely = [Self.listeners[1]] + Self.listeners.filter { $0.ip.family == .v4 }
        for discovery in [nil, DiscoveryListeners(among: lonely)] {
            let relay = RelayHarness { $0.discovery = discovery }
            let message = RelayHarness.message(STUNMessageType(.binding, .request), relay.newTransaction()) {
                $0.append(attribute, number: 5000 << 16)
            }
            let answer = try #require(relay.answer(message))
            #expect(answer.code == .unknownAttribute)
            #expect(
                answer.read { $0.value(.unknownAttributes) }
                    == [UInt8(attribute.rawValue >> 8), UInt8(attribute.rawValue & 0xFF)])
        }
        let plain = try #require(
            RelayHarness().answer(
                RelayHarness.message(STUNMessageType(.binding, .request), TransactionID(high: 1, low: 2)) { _ in }))
        #expect(plain.bytes.count == 32)
    }

    @Test func groupsOfFour() {
        let group = DiscoveryListeners(among: Self.listeners)
        #expect(group?[1] == nil && group?[5] == nil)
        #expect(group?[4]?.both.index == 0)
        for incomplete in [
            [], [0], [0, 2], [0, 3], [0, 4], [0, 2, 3], [1, 2, 3, 4],
        ] {
            #expect(DiscoveryListeners(among: incomplete.map { Self.listeners[$0] }) == nil)
        }
        let anywhere = ["0.0.0.0:3478", "0.0.0.0:3479", "198.18.0.2:3478", "198.18.0.2:3479"].map { SocketAddress($0)! }
        #expect(DiscoveryListeners(among: anywhere) == nil)
    }

    @Test func strangersHaveTheirRate() {
        let limited = RelayHarness {
            $0.discovery = DiscoveryListeners(among: Self.listeners)
            $0.unauthenticatedAnswersBurst = 3
        }
        let answers = (0..<10).compactMap { _ in
            limited.answer(
                RelayHarness.message(STUNMessageType(.binding, .request), limited.newTransaction()) {
                    $0.append(.changeRequest, number: 6)
                })
        }
        #expect(answers.count == 3)
    }
}
