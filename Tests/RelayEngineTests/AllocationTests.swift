import Base
import RelayEngine
import STUN
import Testing

@Suite struct AllocationTests {
    @Test func aRetransmissionIsAnsweredTheSame() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let id = TransactionID(high: 9, low: 9)
        let first = try #require(harness.allocate(as: client, transactionID: id))
        let second = try #require(harness.allocate(as: client, transactionID: id))
        #expect(first.isSuccess)
        #expect(first.bytes == second.bytes)
        #expect(harness.engine.allocationCount == 1)
        #expect(try #require(harness.allocate(as: client)).code == .allocationMismatch)
    }

    @Test func whatIsAskedForMustBeWhatWeHave() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        func ask(_ body: (inout STUNWriter) -> Void) throws -> STUNErrorCode? {
            let answer = harness.ask(.allocate, as: client, body)
            return try #require(answer).code
        }
        #expect(try ask { _ in } == .badRequest)
        #expect(try ask { $0.append(.requestedTransport, bytes: [17]) } == .badRequest)
        #expect(try ask { $0.append(.requestedTransport, leadingByte: 33) } == .unsupportedTransport)
        #expect(
            try ask {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.requestedAddressFamily, leadingByte: 2)
            } == .addressFamilyNotSupported)
        #expect(
            try ask {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(.requestedAddressFamily, leadingByte: 1)
                $0.append(.evenPort, bytes: [0])
            } == nil)
    }

    @Test func unknownAttributesAreNamed() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let answer = try #require(
            harness.ask(.allocate, as: client) {
                $0.append(.requestedTransport, leadingByte: 17)
                $0.append(STUNAttributeType(rawValue: 0x0024), number: 7)
                $0.append(STUNAttributeType(rawValue: 0x9999), bytes: [])
            })
        #expect(answer.code == .unknownAttribute)
        #expect(answer.read { $0.value(.unknownAttributes) } == [0x00, 0x24])
        #expect(harness.engine.allocationCount == 0)
    }

    @Test(arguments: [(nil, 600), (0, 600), (1, 600), (700, 700), (UInt32.max, 3600)] as [(UInt32?, UInt32)])
    func lifetimes(asked: UInt32?, granted: UInt32) throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let answer = try #require(
            harness.ask(.allocate, as: client) {
                $0.append(.requestedTransport, leadingByte: 17)
                if let asked { $0.append(.lifetime, number: asked) }
            })
        #expect(answer.read { $0.number(.lifetime) } == granted)
        harness.now = harness.now + .seconds(Int64(granted) - 1)
        #expect(harness.engine.expire(now: harness.now).isEmpty)
        harness.now = harness.now + .seconds(1)
        let closed = harness.engine.expire(now: harness.now)
        #expect(closed.map(\.user.user) == ["alice"])
        #expect(harness.engine.allocationCount == 0)
    }

    @Test func anExpiredAllocationIsGoneBeforeItIsSwept() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        _ = harness.bind(0x4000, to: RelayHarness.peer, as: client)
        harness.now = harness.now + .seconds(600)
        #expect(harness.sendChannelData([1], 0x4000) == .none)
        #expect(harness.drops(.noAllocation) == 1)
        #expect(try #require(harness.ask(.refresh, as: client)).code == .allocationMismatch)
        let again = try #require(harness.allocate(as: client))
        #expect(again.isSuccess)
        #expect(again.closed?.ports.v4 == 50_001)
        #expect(harness.engine.allocationCount == 1)
    }

    @Test func refreshExtendsAndDeletes() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        #expect(try #require(harness.ask(.refresh, as: client)).code == .allocationMismatch)
        _ = harness.allocate(as: client)
        harness.now = harness.now + .seconds(599)
        #expect(try #require(harness.ask(.refresh, as: client)).read { $0.number(.lifetime) } == 600)
        harness.now = harness.now + .seconds(599)
        #expect(harness.engine.expire(now: harness.now).isEmpty)

        let id = TransactionID(high: 5, low: 5)
        let delete = try #require(
            harness.ask(.refresh, as: client, transactionID: id) { $0.append(.lifetime, number: 0) })
        #expect(delete.read { $0.number(.lifetime) } == 0)
        #expect(delete.closed != nil)
        let repeated = try #require(
            harness.ask(.refresh, as: client, transactionID: id) { $0.append(.lifetime, number: 0) })
        #expect(repeated.bytes == delete.bytes)
        #expect(try #require(harness.ask(.refresh, as: client)).code == .allocationMismatch)
    }

    @Test func drainingMakesNoNewAllocations() throws {
        let harness = RelayHarness()
        let (old, new) = (RelayHarness.Client(), RelayHarness.Client())
        new.address.port += 1
        _ = harness.allocate(as: old)
        harness.engine.isDraining = true
        #expect(try #require(harness.allocate(as: new)).code == .insufficientCapacity)
        #expect(try #require(harness.ask(.refresh, as: old)).isSuccess)
    }

    @Test func placesAreReusedButIdsAreNot() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        guard let closed = harness.engine.closeAll(now: harness.now).first else { throw Missing() }
        _ = harness.allocate(as: client)
        _ = harness.permit(RelayHarness.peer, as: client)
        let late = harness.engine.receiveFromPeer(closed.id, from: RelayHarness.peer, payloadCount: 1, now: harness.now)
        #expect(late == .none)
    }

    struct Missing: Error {}

    @Test func aRefusalOfTheServiceIsAnswered() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        harness.refusal = .allocationQuotaReached
        let refused = try #require(harness.allocate(as: client))
        #expect(refused.code == .allocationQuotaReached)
        #expect(refused.read { $0.hasValidIntegrity(client.key) })
        #expect(harness.engine.allocationCount == 0)
    }
}
