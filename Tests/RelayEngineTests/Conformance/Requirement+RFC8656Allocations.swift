import Base
import RelayEngine
import STUN

extension Requirement {
    /// Traversal Using Relays around NAT (TURN): how allocations come and go.
    static let rfc8656Allocations: [Requirement] = general + allocate + refresh

    private static let v4: UInt8 = 1
    private static let v6: UInt8 = 2

    // MARK: - In general

    private static let general: [Requirement] = [
        Requirement("RFC 8656 5", "every request is authenticated") { bench in
            [STUNMethod.allocate, .refresh, .createPermission, .channelBind].allSatisfy {
                bench.receive(bench.unsigned($0)) == 401
            }
        },
        Requirement("RFC 8656 5", "indications are not authenticated, and not answered") {
            $0.receive($0.unsigned(.send, .indication)) == .silence
        },
        Requirement("RFC 8656 5", "a request other than Allocate without an allocation is answered with 437") {
            $0.refresh() == 437 && $0.permit(RelayHarness.peer) == 437 && $0.bind(0x4000, to: RelayHarness.peer) == 437
        },
        Requirement("RFC 8656 5", "requests for an allocation have the user name that made it: 441") { bench in
            _ = bench.allocate()
            let other = RelayHarness.Client(username: "2000000600:default:bob", nonce: bench.client.nonce)
            let bytes = RelayHarness.message(
                STUNMessageType(.refresh, .request), bench.harness.newTransaction(), as: other
            ) { $0.append(.lifetime, number: 0) }
            return bench.receive(bytes) == 441 && bench.harness.engine.allocationCount == 1
        },
        Requirement("RFC 8656 5", "a retransmitted request has the answer of the first") { bench in
            let request = bench.signed(.allocate) { $0.append(.requestedTransport, leadingByte: 17) }
            guard bench.receive(request) == .success, let first = bench.lastAnswer?.bytes else { return false }
            return bench.receive(request) == .success && bench.lastAnswer?.bytes == first
                && bench.harness.engine.allocationCount == 1
        },
        Requirement("RFC 8656 5", "a retransmitted Refresh with lifetime 0 has the answer of the first") { bench in
            _ = bench.allocate()
            let request = bench.signed(.refresh) { $0.append(.lifetime, number: 0) }
            return bench.receive(request) == .success && bench.receive(request) == .success && bench.lifetime == 0
        },
        Requirement("RFC 8656 3.2", "an allocation is known by its 5-tuple: another client address has none") { bench in
            _ = bench.allocate()
            bench.client.address = ConformanceBench.elsewhere
            bench.client.nonce = nil
            return bench.refresh() == 437
        },
        Requirement("RFC 8656 3.2", "all that belongs to an allocation ends with it") { bench in
            _ = bench.allocate()
            _ = bench.bind(0x4000, to: RelayHarness.peer)
            _ = bench.refresh(lifetime: 0)
            guard bench.allocate() == .success else { return false }
            return !bench.sends() && !bench.sendsOnChannel(0x4000) && bench.hears() == .none
        },
    ]

    // MARK: - Allocate

    private static let allocate: [Requirement] = [
        Requirement("RFC 8656 7.2", "2: a 5-tuple that has an allocation gets 437") {
            $0.allocate() == .success && $0.allocate() == 437
        },
        Requirement("RFC 8656 7.2", "3: without REQUESTED-TRANSPORT 400") { $0.ask(.allocate) == 400 },
        Requirement("RFC 8656 7.2", "3: a malformed REQUESTED-TRANSPORT 400") {
            $0.ask(.allocate) { $0.append(.requestedTransport, bytes: [17]) } == 400
        },
        Requirement("RFC 8656 7.2", "3: another transport than UDP 442") { bench in
            [UInt8(0), 1, 33, 255].allSatisfy { transport in
                bench.ask(.allocate) { $0.append(.requestedTransport, leadingByte: transport) } == 442
            }
        },
        Requirement("RFC 8656 7.2", "4: DONT-FRAGMENT is supported") {
            $0.allocate { $0.append(.dontFragment, bytes: []) } == .success
        },
        Requirement("RFC 8656 7.2", "5: RESERVATION-TOKEN with EVEN-PORT 400") {
            $0.allocate {
                $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8))
                $0.append(.evenPort, bytes: [0])
            } == 400
        },
        Requirement("RFC 8656 7.2", "5: RESERVATION-TOKEN with REQUESTED-ADDRESS-FAMILY 400") {
            $0.allocate {
                $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8))
                $0.append(.requestedAddressFamily, leadingByte: v4)
            } == 400
        },
        Requirement("RFC 8656 7.2", "5: RESERVATION-TOKEN with ADDITIONAL-ADDRESS-FAMILY 400") {
            $0.allocate {
                $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8))
                $0.append(.additionalAddressFamily, leadingByte: v6)
            } == 400
        },
        Requirement("RFC 8656 18.9", "a RESERVATION-TOKEN of another size than eight bytes 400") {
            $0.allocate { $0.append(.reservationToken, bytes: [1, 2, 3, 4]) } == 400
        },
        Requirement("RFC 8656 7.2", "5: a RESERVATION-TOKEN that is not valid 508") { bench in
            bench.harness.refusal = .insufficientCapacity
            return bench.allocate { $0.append(.reservationToken, bytes: Array(repeating: 1, count: 8)) } == 508
        },
        Requirement("RFC 8656 7.2", "6: REQUESTED-ADDRESS-FAMILY with ADDITIONAL-ADDRESS-FAMILY 400") {
            $0.allocate {
                $0.append(.requestedAddressFamily, leadingByte: v4)
                $0.append(.additionalAddressFamily, leadingByte: v6)
            } == 400
        },
        Requirement("RFC 8656 7.2", "7: a family that the server has not 440") { bench in
            bench.configure(onlyV4: true)
            return bench.allocate { $0.append(.requestedAddressFamily, leadingByte: v6) } == 440
        },
        Requirement("RFC 8656 7.2", "7: a family that there is not 440") {
            $0.allocate { $0.append(.requestedAddressFamily, leadingByte: 3) } == 440
        },
        Requirement("RFC 8656 7.2", "the family that is asked for is what is allocated") {
            $0.allocate { $0.append(.requestedAddressFamily, leadingByte: v6) } == .success
                && $0.relayed.map(\.ip) == [ConformanceBench.relayV6]
        },
        Requirement("RFC 8656 7.2", "without REQUESTED-ADDRESS-FAMILY an IPv4 address is allocated") { bench in
            bench.client.address = SocketAddress("[2001:db8::7]:4000")!
            return bench.allocate() == .success && bench.relayed.map(\.ip) == [RelayHarness.relay]
        },
        Requirement("RFC 8656 7.2", "8: EVEN-PORT with its R bit and ADDITIONAL-ADDRESS-FAMILY 400") {
            $0.allocate {
                $0.append(.evenPort, bytes: [0x80])
                $0.append(.additionalAddressFamily, leadingByte: v6)
            } == 400
        },
        Requirement("RFC 8656 18.7", "EVEN-PORT is one byte: 400") {
            $0.allocate { $0.append(.evenPort, bytes: []) } == 400
        },
        Requirement("RFC 8656 18.7", "the other bits of EVEN-PORT are ignored") {
            $0.allocate { $0.append(.evenPort, bytes: [0x7F]) } == .success && !$0.has(.reservationToken)
        },
        Requirement("RFC 8656 7.2", "EVEN-PORT gets an even port") {
            $0.allocate { $0.append(.evenPort, bytes: [0]) } == .success
                && $0.relayed.count == 1 && $0.relayed[0].port % 2 == 0
        },
        Requirement("RFC 8656 7.2", "EVEN-PORT with its R bit gets a RESERVATION-TOKEN of eight bytes") {
            $0.allocate { $0.append(.evenPort, bytes: [0x80]) } == .success
                && $0.answer { $0.value(.reservationToken) }?.count == 8 && $0.relayed[0].port % 2 == 0
        },
        Requirement("RFC 8656 7.2", "8: EVEN-PORT that cannot be had 508") { bench in
            bench.harness.refusal = .insufficientCapacity
            return bench.allocate { $0.append(.evenPort, bytes: [0x80]) } == 508 && bench.isAuthentic
        },
        Requirement("RFC 8656 7.2", "9: ADDITIONAL-ADDRESS-FAMILY of IPv4 400") {
            $0.allocate { $0.append(.additionalAddressFamily, leadingByte: v4) } == 400
        },
        Requirement("RFC 8656 7.2", "ADDITIONAL-ADDRESS-FAMILY gets an address of each family") {
            $0.allocateBoth() == .success
                && Set($0.relayed.map(\.ip)) == [RelayHarness.relay, ConformanceBench.relayV6]
                && !$0.has(.addressErrorCode)
        },
        Requirement("draft-martinsen-tram-ssoda", "ADDITIONAL-ADDRESS-FAMILY under its former number asks for the same")
        {
            $0.allocate { $0.append(.formerAdditionalAddressFamily, leadingByte: v6) } == .success
                && $0.relayed.count == 2
        },
        Requirement("RFC 8656 7.2", "of two families one will do: ADDRESS-ERROR-CODE with 440 for what is not there") {
            bench in
            bench.configure(onlyV4: true)
            return bench.allocateBoth() == .success && bench.relayed.map(\.ip) == [RelayHarness.relay]
                && bench.answer { $0.addressError?.family } == .v6
                && bench.answer { $0.addressError?.code } == .addressFamilyNotSupported
        },
        Requirement("RFC 8656 7.2", "of two families one will do: ADDRESS-ERROR-CODE with 508 for what is used up") {
            bench in
            bench.harness.familyWithoutPorts = .v4
            return bench.allocateBoth() == .success && bench.relayed.map(\.ip) == [ConformanceBench.relayV6]
                && bench.answer { $0.addressError?.family } == .v4
                && bench.answer { $0.addressError?.code } == .insufficientCapacity
        },
        Requirement("RFC 8656 7.2", "10: a quota that is reached 486") { bench in
            bench.harness.refusal = .allocationQuotaReached
            return bench.allocate() == 486 && bench.isAuthentic && bench.harness.engine.allocationCount == 0
        },
        Requirement("RFC 8656 7.2", "no port is left: 508") { bench in
            bench.harness.refusal = .insufficientCapacity
            return bench.allocate() == 508 && bench.harness.engine.allocationCount == 0
        },
        Requirement(
            "RFC 8656 7.2", "a success response has the relayed transport address, LIFETIME and the reflexive address"
        ) {
            $0.allocate() == .success && $0.relayed.count == 1 && $0.lifetime == 600
                && $0.answer { $0.xorAddress(.xorMappedAddress) } == $0.client.address
        },
        Requirement("RFC 8656 7.2", "a LIFETIME below the default gets the default") { bench in
            bench.allocate { $0.append(.lifetime, number: 1) } == .success && bench.lifetime == 600
        },
        Requirement("RFC 8656 7.2", "a LIFETIME above the most gets the most, of one hour") {
            $0.allocate { $0.append(.lifetime, number: .max) } == .success && $0.lifetime == 3600
        },
        Requirement("RFC 8656 7.2", "what the LIFETIME says is when the allocation ends") { bench in
            _ = bench.allocate { $0.append(.lifetime, number: 700) }
            _ = bench.permit(RelayHarness.peer)
            bench.pass(seconds: 290)
            _ = bench.permit(RelayHarness.peer)
            bench.pass(seconds: 290)
            _ = bench.permit(RelayHarness.peer)
            bench.pass(seconds: 119)
            guard bench.sends() else { return false }
            bench.pass(seconds: 1)
            return !bench.sends() && bench.refresh() == 437
        },
    ]

    // MARK: - Refresh

    private static let refresh: [Requirement] = [
        Requirement("RFC 8656 8.2", "a Refresh sets the time to expiry anew, and LIFETIME says so") { bench in
            _ = bench.allocate()
            bench.pass(seconds: 500)
            guard bench.refresh(lifetime: 900) == .success, bench.lifetime == 900 else { return false }
            bench.pass(seconds: 899)
            guard bench.refresh() == .success, bench.lifetime == 600 else { return false }
            bench.pass(seconds: 600)
            return bench.refresh() == 437
        },
        Requirement("RFC 8656 8.2", "a LIFETIME of 0 deletes the allocation, and is answered with success") {
            $0.allocate() == .success && $0.refresh(lifetime: 0) == .success && $0.lifetime == 0
                && $0.harness.engine.allocationCount == 0
        },
        Requirement("RFC 8656 8.2", "a family that the allocation has not 443") { bench in
            _ = bench.allocate()
            return bench.refresh { $0.append(.requestedAddressFamily, leadingByte: v6) } == 443
                && bench.refresh(lifetime: 0) { $0.append(.requestedAddressFamily, leadingByte: v6) } == 443
                && bench.harness.engine.allocationCount == 1
        },
        Requirement("RFC 8656 8.2", "of two relayed transport addresses the one that is named is deleted") { bench in
            _ = bench.allocateBoth()
            _ = bench.permit(RelayHarness.peer, ConformanceBench.peerV6)
            guard bench.refresh(lifetime: 0, { $0.append(.requestedAddressFamily, leadingByte: v6) }) == .success
            else { return false }
            return bench.sends() && !bench.sends(to: ConformanceBench.peerV6)
                && bench.permit(ConformanceBench.peerV6) == 443
        },
        Requirement("RFC 8656 8.2", "without a family both are deleted") { bench in
            _ = bench.allocateBoth()
            return bench.refresh(lifetime: 0) == .success && bench.refresh() == 437
        },
        Requirement("RFC 8656 8.2", "with both deleted one by one nothing is left") { bench in
            _ = bench.allocateBoth()
            let families = [v6, v4]
            return families.allSatisfy { family in
                bench.refresh(lifetime: 0) { $0.append(.requestedAddressFamily, leadingByte: family) } == .success
            } && bench.harness.engine.allocationCount == 0
        },
        Requirement("RFC 8656 8.2", "a Refresh changes neither permissions nor channels") { bench in
            _ = bench.allocate()
            _ = bench.bind(0x4000, to: RelayHarness.peer)
            bench.pass(seconds: 299)
            guard bench.refresh() == .success, bench.sends() else { return false }
            bench.pass(seconds: 1)
            return !bench.sends()
        },
    ]
}
