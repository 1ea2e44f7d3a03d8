import Base
import RelayEngine
import STUN
import Testing

@Suite struct UnauthenticatedTests {
    @Test(arguments: [("198.51.100.7:40000", 44), ("[2a00:1450::7]:40000", 64)], [false, true])
    func bindingAnswersAreSmall(client: (String, Int), fingerprint: Bool) throws {
        let harness = RelayHarness()
        let address = try #require(SocketAddress(client.0))
        let request = RelayHarness.message(
            STUNMessageType(.binding, .request), harness.newTransaction(), fingerprint: fingerprint
        ) { _ in }
        let answer = try #require(harness.answer(request, from: address))
        #expect(answer.read { $0.type } == STUNMessageType(.binding, .success))
        #expect(answer.read { $0.xorAddress(.xorMappedAddress) } == address)
        #expect(answer.bytes.count <= client.1)
        let odd = RelayHarness.message(
            STUNMessageType(.binding, .request), harness.newTransaction(), fingerprint: fingerprint
        ) { for type: UInt16 in 0x7000..<0x7020 { $0.append(STUNAttributeType(rawValue: type), number: 0) } }
        let refusal = try #require(harness.answer(odd, from: address))
        #expect(refusal.code == .unknownAttribute)
        #expect(refusal.bytes.count <= client.1)
    }

    @Test func aPrefixOverItsRateMeetsSilence() throws {
        let harness = RelayHarness {
            $0.unauthenticatedAnswersPerSecond = 10
            $0.unauthenticatedAnswersBurst = 20
        }
        func answered(_ method: STUNMethod, from text: String, times: Int = 100) throws -> Int {
            let base = try #require(SocketAddress(text))
            return (0..<times).count { index in
                let client = SocketAddress(base.ip, port: base.port + UInt16(index))
                let request = RelayHarness.message(STUNMessageType(method, .request), harness.newTransaction()) { _ in }
                return harness.answer(request, from: client) != nil
            }
        }
        #expect(try answered(.binding, from: "198.51.100.7:1000") == 20)
        // The whole /24 has one budget, whatever is asked.
        #expect(try answered(.allocate, from: "198.51.100.200:1000") == 0)
        #expect(try answered(.allocate, from: "198.51.101.7:1000") == 20)
        #expect(try answered(.binding, from: "[2a00:1450:1:100::1]:1000") == 20)
        #expect(try answered(.binding, from: "[2a00:1450:1:1ff::9]:1000") == 0)
        #expect(try answered(.binding, from: "[2a00:1450:1:200::9]:1000") == 20)
        harness.now = harness.now + .seconds(1)
        #expect(try answered(.binding, from: "198.51.100.7:1000") == 10)
        #expect(harness.drops(.rateLimited) > 0)
    }

    @Test func knownClientsAreNotLimited() throws {
        let harness = RelayHarness {
            $0.unauthenticatedAnswersPerSecond = 1
            $0.unauthenticatedAnswersBurst = 2
        }
        let client = RelayHarness.Client()
        #expect(try #require(harness.allocate(as: client)).isSuccess)
        for _ in 0..<10 {
            let request = RelayHarness.message(STUNMessageType(.binding, .request), harness.newTransaction()) { _ in }
            #expect(harness.answer(request) != nil)
        }
    }

    @Test func whatIsNoRequestIsNotAnswered() {
        let harness = RelayHarness()
        let datagrams: [[UInt8]] = [
            [], [0], [0, 1], [0x16, 0xFE, 0xFD], Array("GET / HTTP/1.1".utf8), Array(repeating: 0x40, count: 40),
            RelayHarness.message(STUNMessageType(.binding, .success), TransactionID(high: 1, low: 1)) { _ in },
            RelayHarness.message(STUNMessageType(.binding, .indication), TransactionID(high: 1, low: 1)) { _ in },
            RelayHarness.message(STUNMessageType(.data, .indication), TransactionID(high: 1, low: 1)) { _ in },
            RelayHarness.message(STUNMessageType(.send, .request), TransactionID(high: 1, low: 1)) { _ in },
            RelayHarness.message(
                STUNMessageType(STUNMethod(rawValue: 0xFFF), .request), TransactionID(high: 1, low: 1)
            ) { _ in },
            RelayHarness.message(STUNMessageType(.allocate, .request), TransactionID(high: 1, low: 1)) {
                $0.append(.data, bytes: Array(repeating: 0, count: 3000))
            },
        ]
        for datagram in datagrams { #expect(harness.answer(datagram) == nil) }
        #expect(harness.engine.allocationCount == 0)
    }

    /// Random changes to every kind of datagram, from a client with an allocation: nothing breaks, and answers keep
    /// within their bound.
    @Test func survivesHostileBytes() {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        _ = harness.bind(0x4000, to: RelayHarness.peer, as: client)
        var generator = SplitMix(state: 11)
        let seeds: [[UInt8]] = [
            RelayHarness.message(STUNMessageType(.allocate, .request), TransactionID(high: 1, low: 1), as: client) {
                $0.append(.requestedTransport, leadingByte: 17)
            },
            RelayHarness.message(STUNMessageType(.channelBind, .request), TransactionID(high: 1, low: 1), as: client) {
                $0.append(channelNumber: 0x4001)
                $0.append(.xorPeerAddress, xorAddress: RelayHarness.peer)
            },
            RelayHarness.message(STUNMessageType(.send, .indication), TransactionID(high: 1, low: 1)) {
                $0.append(.xorPeerAddress, xorAddress: RelayHarness.peer)
                $0.append(.data, bytes: [1, 2, 3])
            },
            [0x40, 0x00, 0x00, 0x03, 1, 2, 3],
        ]
        for round in 0..<20_000 {
            var datagram = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !datagram.isEmpty {
                let index = Int.random(in: 0..<datagram.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: datagram[index] = UInt8.random(in: .min ... .max, using: &generator)
                case 1: datagram[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                default: datagram.removeLast(datagram.count - index)
                }
            }
            let sender = round % 2 == 0 ? client.address : RelayHarness.server
            if let answer = harness.answer(datagram, from: sender) {
                #expect(answer.bytes.count <= RelayEngine.maxAnswerByteCount)
            }
        }
        #expect(harness.engine.allocationCount == 1)
    }

    @Test func whoForgesAHoldersAddressGetsFewAnswersToIt() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        #expect(try #require(harness.allocate(as: client)).isSuccess)
        func challenges() -> Int {
            (0..<100).count { _ in
                harness.answer(
                    RelayHarness.message(STUNMessageType(.refresh, .request), harness.newTransaction()) { _ in }) != nil
            }
        }
        #expect(challenges() == 10)
        harness.now = harness.now + .milliseconds(300)
        #expect(challenges() == 3)
        // The client itself is served meanwhile.
        #expect(try #require(harness.ask(.refresh, as: client)).isSuccess)
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
