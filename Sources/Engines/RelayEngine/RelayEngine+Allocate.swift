public import Base
public import STUN

/// Allocate requests (RFC 8656 section 7).
extension RelayEngine {
    mutating func allocate(
        _ message: borrowing STUNMessage, _ answer: Answer, _ identity: Identity, _ id: AllocationID?,
        now: MonotonicInstant
    ) -> RequestOutcome {
        if let id {
            // The first answer was lost: the same once more.
            guard allocations[id].transactionID == message.transactionID else {
                return fail(.allocationMismatch, answer)
            }
            guard identity.isOwner(of: allocations[id].identity) else { return fail(.wrongCredentials, answer) }
            return .respond(succeed(answer, id))
        }
        let wish: AllocationWish
        do { wish = try self.wish(message, answer.tuple) } catch { return fail(error, answer) }
        guard !isDraining else { return redirect(answer) }
        let pending = PendingAllocation(
            tuple: answer.tuple, transport: wish.transport, families: wish.families, missingFamily: wish.missingFamily,
            portWish: wish.port,
            identity: identity, transactionID: message.transactionID,
            lifetimeSeconds: lifetime(asked: message.number(.lifetime), identity),
            wantsFingerprint: answer.wantsFingerprint, wantsMobility: wish.mobility)
        // One that no sweep has taken yet would be in the way.
        let former = allocations.id(of: answer.tuple).map { close($0, .expired, now: now) }
        return .openRelay(pending, former: former)
    }

    private struct AllocationWish {
        var families: [IPAddress.Family] = []
        var missingFamily: MissingFamily?
        var transport = RelayedTransport.udp
        var port = PendingAllocation.PortWish.any
        var mobility = false
    }

    /// Reads what is asked for, in the order of RFC 8656 section 7.2.
    private func wish(
        _ message: borrowing STUNMessage, _ tuple: FiveTuple
    ) throws(STUNErrorCode) -> AllocationWish {
        guard let transport = message.leadingByte(.requestedTransport) else { throw .badRequest }
        guard let transport = RelayedTransport(rawValue: transport) else { throw .unsupportedTransport }
        if transport == .tcp { return try tcpWish(message, tuple) }
        var wish = AllocationWish()
        let token = message.value(.reservationToken)
        let evenPort = message.value(.evenPort)
        let asksForFamily = message.attribute(.requestedAddressFamily) != nil
        // Under the number of the draft, if not under that of the RFC.
        let additionalFamily: STUNAttributeType =
            message.attribute(.additionalAddressFamily) != nil
            ? .additionalAddressFamily : .formerAdditionalAddressFamily
        let asksForMore = message.attribute(additionalFamily) != nil
        if let token {
            guard token.count == 8, evenPort == nil, !asksForFamily, !asksForMore else { throw .badRequest }
            wish.port = .reserved(token.reduce(0) { $0 << 8 | UInt64($1) })
        }
        if let evenPort {
            guard evenPort.count == 1 else { throw .badRequest }
            let andNext = evenPort[0] & 0x80 != 0
            guard !(andNext && asksForMore) else { throw .badRequest }
            wish.port = andNext ? .evenAndNext : .even
        }
        if asksForMore {
            guard !asksForFamily, message.leadingByte(additionalFamily) == 2 else { throw .badRequest }
            wish.families = [.v4, .v6].filter { policy.addresses[$0] != nil }
            if wish.families.count == 1 {
                wish.missingFamily = MissingFamily(
                    wish.families[0] == .v4 ? .v6 : .v4, .addressFamilyNotSupported)
            }
        } else if case .reserved = wish.port {
            // The port that was kept says of which family it is.
            wish.families = [.v4]
        } else {
            wish.families = [try family(message)]
        }
        if let ticket = message.attribute(.mobilityTicket) {
            guard ticket.count == 0 else { throw .badRequest }
            guard configuration.allowsMobility else { throw .mobilityForbidden }
            wish.mobility = true
        }
        return wish
    }

    /// An allocation of RFC 6062 (section 5.1), which is not mobile.
    private func tcpWish(
        _ message: borrowing STUNMessage, _ tuple: FiveTuple
    ) throws(STUNErrorCode) -> AllocationWish {
        guard configuration.allowsTCPAllocations else { throw .unsupportedTransport }
        guard tuple.transport.isStream, message.attribute(.evenPort) == nil, message.attribute(.dontFragment) == nil,
            message.attribute(.reservationToken) == nil, message.attribute(.additionalAddressFamily) == nil,
            message.attribute(.formerAdditionalAddressFamily) == nil
        else { throw .badRequest }
        var wish = AllocationWish()
        wish.transport = .tcp
        wish.families = [try family(message)]
        return wish
    }

    /// REQUESTED-ADDRESS-FAMILY; without it an IPv4 address is asked for.
    private func family(_ message: borrowing STUNMessage) throws(STUNErrorCode) -> IPAddress.Family {
        var family = IPAddress.Family.v4
        if message.attribute(.requestedAddressFamily) != nil {
            switch message.leadingByte(.requestedAddressFamily) {
            case 1: break
            case 2: family = .v6
            case nil: throw .badRequest
            default: throw .addressFamilyNotSupported
            }
        }
        guard policy.addresses[family] != nil else { throw .addressFamilyNotSupported }
        return family
    }

    /// 300 with another server of the client's family, where one is configured (RFC 8489 section 10); 508 otherwise.
    private mutating func redirect(_ answer: Answer) -> RequestOutcome {
        let family = answer.tuple.client.ip.unmapped.family
        guard let server = configuration.alternateServers.first(where: { $0.ip.family == family }) else {
            return fail(.insufficientCapacity, answer)
        }
        let domain = configuration.alternateDomain
        return fail(.tryAlternate, answer) {
            $0.append(.alternateServer, address: server)
            if let domain { $0.append(.alternateDomain, text: domain) }
        }
    }

    /// Installs the allocation, and writes the answer into `output`.
    ///
    /// - Parameter credit: what the quota has said that it may relay.
    /// - Returns: its number among the mobile ones too, 0 where it is not mobile.
    public mutating func completeAllocation(
        _ pending: PendingAllocation, _ opened: OpenedRelay, _ credit: BandwidthCredit = BandwidthCredit(),
        now: MonotonicInstant,
        into output: UnsafeMutableRawBufferPointer
    ) -> (AllocationID, mobilityNumber: UInt64, responseCount: Int) {
        let number = pending.wantsMobility ? takeMobilityNumber() : 0
        let id = allocations.insert(Allocation(pending, opened, credit, mobilityNumber: number, now: now))
        statistics.allocationsOpened[Int(pending.tuple.transport.rawValue)] += 1
        return (id, number, succeed(Answer(pending, output: output), id))
    }

    /// Writes the refusal into `output`.
    public mutating func refuseAllocation(
        _ pending: PendingAllocation, _ code: STUNErrorCode, into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        statistics.error(code, over: pending.tuple.transport)
        return Answer(pending, output: output).refuse(code)
    }

    private func succeed(_ answer: Answer, _ id: AllocationID) -> Int {
        let (ports, missing, token) = (
            allocations[id].ports, allocations[id].missingFamily, allocations[id].reservationToken
        )
        let seconds = allocations[id].grantedLifetimeSeconds
        let ticket = ticket(of: id)
        let addresses = policy.addresses
        return answer.succeed { writer in
            for family in ports.families {
                guard let address = addresses[family], let port = ports[family] else { continue }
                writer.append(.xorRelayedAddress, xorAddress: SocketAddress(address.relayed, port: port))
            }
            writer.append(.lifetime, number: seconds)
            writer.append(.xorMappedAddress, xorAddress: answer.tuple.client)
            if let missing { writer.append(addressError: missing.code, family: missing.family) }
            if let token { writer.append(.reservationToken, bytes: Self.bytes(of: token)) }
            if let ticket { writer.append(.mobilityTicket, text: ticket) }
        }
    }

    private static func bytes(of token: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: token)
        return bytes
    }

    /// A ticket for the allocation as it is now; nil where it is not mobile.
    func ticket(of id: AllocationID) -> String? {
        let number = allocations[id].mobilityNumber
        return number == 0 ? nil : tickets.ticket(for: number, of: allocations[id].identity.owner)
    }

    /// The seconds that an allocation is granted (RFC 8656 section 7.2), which end with the right to have it.
    func lifetime(asked: UInt32?, _ identity: Identity) -> UInt32 {
        let (standard, most) = (configuration.defaultLifetimeSeconds, configuration.maxLifetimeSeconds)
        let seconds = UInt32(max(standard, min(asked.map(Int.init) ?? standard, most)))
        return min(seconds, identity.longestLifetimeSeconds ?? .max)
    }
}
