import Base
import STUN
import Testing

@testable import RelayEngine

/// Relayed transport addresses of both families (RFC 8656 sections 7.2, 8.2, 18.6, 18.11, 18.12).
@Suite struct AddressFamilyTests {
    private static let relayV6 = IPAddress("2a00:1450::1")!
    private static let peerV6 = SocketAddress("[2a00:1450::99]:5000")!

    private func dual() -> RelayHarness { RelayHarness(relayedV6: Self.relayV6) }

    private func allocate(
        _ harness: RelayHarness, _ client: RelayHarness.Client, _ body: (inout STUNWriter) -> Void
    ) throws -> RelayHarness.Answer {
        try #require(
            harness.ask(.allocate, as: client) {
                $0.append(.requestedTransport, leadingByte: 17)
                body(&$0)
            })
    }

    private func relayed(_ answer: RelayHarness.Answer) -> [SocketAddress] {
        answer.read { message in
            var addresses: [SocketAddress] = []
            var current = message.attribute()
            while let attribute = current {
                if attribute.type == .xorRelayedAddress, let address = message.xorAddress(attribute) {
                    addresses.append(address)
                }
                current = message.attribute(after: attribute)
            }
            return addresses
        }
    }

    @Test func theFamilyThatIsAskedForIsGiven() throws {
        for (family, ip) in [(UInt8(1), RelayHarness.relay), (2, Self.relayV6)] {
            let answer = try allocate(dual(), RelayHarness.Client()) {
                $0.append(.requestedAddressFamily, leadingByte: family)
            }
            #expect(relayed(answer).map(\.ip) == [ip])
        }
        #expect(relayed(try allocate(dual(), RelayHarness.Client()) { _ in }).map(\.ip) == [RelayHarness.relay])
        let unknown = try allocate(dual(), RelayHarness.Client()) {
            $0.append(.requestedAddressFamily, leadingByte: 3)
        }
        #expect(unknown.code == .addressFamilyNotSupported)
    }

    @Test func twoFamiliesInOneAllocation() throws {
        let harness = dual()
        let client = RelayHarness.Client()
        let answer = try allocate(harness, client) { $0.append(.additionalAddressFamily, leadingByte: 2) }
        #expect(relayed(answer).map(\.ip) == [RelayHarness.relay, Self.relayV6])
        #expect(try #require(harness.permit(RelayHarness.peer, as: client)).isSuccess)
        #expect(try #require(harness.permit(Self.peerV6, as: client)).isSuccess)
        #expect(harness.send([1], to: RelayHarness.peer) != .none)
        #expect(harness.send([1], to: Self.peerV6) != .none)

        // Refresh with or without a family goes on with both; with lifetime 0 the one that is named ends.
        for family in [nil, UInt8(1), 2] {
            let refreshed = harness.ask(.refresh, as: client) {
                if let family { $0.append(.requestedAddressFamily, leadingByte: family) }
            }
            #expect(try #require(refreshed).isSuccess)
        }
        let closed = try #require(
            harness.ask(.refresh, as: client) {
                $0.append(.lifetime, number: 0)
                $0.append(.requestedAddressFamily, leadingByte: 1)
            })
        #expect(closed.isSuccess)
        #expect(harness.engine.allocationCount == 1)
        #expect(harness.send([1], to: RelayHarness.peer) == .none)
        #expect(harness.send([1], to: Self.peerV6) != .none)
        #expect(try #require(harness.permit(RelayHarness.peer, as: client)).code == .peerAddressFamilyMismatch)
        let again = try #require(
            harness.ask(.refresh, as: client) { $0.append(.requestedAddressFamily, leadingByte: 1) })
        #expect(again.code == .peerAddressFamilyMismatch)
        let last = try #require(
            harness.ask(.refresh, as: client) {
                $0.append(.lifetime, number: 0)
                $0.append(.requestedAddressFamily, leadingByte: 2)
            })
        #expect(last.closed?.ports == AllocatedPorts(v6: 50_002))
        #expect(harness.engine.allocationCount == 0)
    }

    @Test func aMissingFamilyIsSaid() throws {
        let none = try allocate(RelayHarness(), RelayHarness.Client()) {
            $0.append(.additionalAddressFamily, leadingByte: 2)
        }
        #expect(relayed(none).map(\.ip) == [RelayHarness.relay])
        #expect(none.read { $0.value(.addressErrorCode) } == [2, 0, 4, 40])
        let harness = dual()
        harness.familyWithoutPorts = .v6
        let full = try allocate(harness, RelayHarness.Client()) { $0.append(.additionalAddressFamily, leadingByte: 2) }
        #expect(relayed(full).map(\.ip) == [RelayHarness.relay])
        #expect(full.read { $0.value(.addressErrorCode) } == [2, 0, 5, 8])
        #expect(try #require(harness.permit(Self.peerV6, as: RelayHarness.Client())).code == .peerAddressFamilyMismatch)
    }

    @Test func whatDoesNotGoTogetherIsRefused() throws {
        let bodies: [(inout STUNWriter) -> Void] = [
            {
                $0.append(.requestedAddressFamily, leadingByte: 1)
                $0.append(.additionalAddressFamily, leadingByte: 2)
            },
            { $0.append(.additionalAddressFamily, leadingByte: 1) },
            {
                $0.append(.additionalAddressFamily, leadingByte: 2)
                $0.append(.evenPort, bytes: [0x80])
            },
            {
                $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8))
                $0.append(.evenPort, bytes: [0])
            },
            {
                $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8))
                $0.append(.requestedAddressFamily, leadingByte: 1)
            },
            {
                $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8))
                $0.append(.additionalAddressFamily, leadingByte: 2)
            },
            { $0.append(.reservationToken, bytes: Array(repeating: 1, count: 7)) },
            { $0.append(.evenPort, bytes: [0, 0]) },
        ]
        for body in bodies {
            #expect(try allocate(dual(), RelayHarness.Client(), body).code == .badRequest)
        }
    }

    @Test func aReservedPortHasATokenThatARetransmissionRepeats() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let id = TransactionID(high: 5, low: 5)
        func ask() throws -> RelayHarness.Answer {
            try #require(
                harness.ask(.allocate, as: client, transactionID: id) {
                    $0.append(.requestedTransport, leadingByte: 17)
                    $0.append(.evenPort, bytes: [0x80])
                })
        }
        let first = try ask()
        #expect(first.read { $0.value(.reservationToken) } == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(relayed(first)[0].port % 2 == 0)
        #expect(try ask().bytes == first.bytes)
    }
}
