public import Base
public import STUN

extension RelayEngine {
    public enum RequestOutcome: Sendable {
        /// No answer.
        case silence
        /// Send this many bytes of the output to the client.
        case respond(Int)
        /// Open a relay socket, then call `completeAllocation` or `refuseAllocation`. The client's former allocation has
        /// expired.
        case openRelay(PendingAllocation, former: Closed?)
        /// The allocation is gone; then as `respond`.
        case closeRelay(Closed, respond: Int)
    }

    /// The largest request: every attribute that a request may carry at its largest.
    static let maxRequestByteCount = 2560

    /// Answers a request.
    ///
    /// - Parameter output: at least `maxAnswerByteCount` bytes.
    public mutating func answer(
        _ datagram: RawSpan, from tuple: FiveTuple, now: MonotonicInstant, wallTime: WallTime,
        into output: UnsafeMutableRawBufferPointer
    ) -> RequestOutcome {
        guard datagram.byteCount <= Self.maxRequestByteCount, let message = try? STUNMessage(datagram),
            message.type.messageClass == .request
        else { return silence(.malformed) }
        var answer = Answer(message, to: tuple, output: output)
        let method = message.type.method
        if method == .binding { return bind(message, &answer, now: now) }
        guard [.allocate, .refresh, .createPermission, .channelBind].contains(method) else {
            return silence(.malformed)
        }

        let id = liveAllocation(of: tuple, now: now)
        let identity: Identity
        do {
            identity = try authenticate(message, tuple, id, now: now, wallTime: wallTime)
        } catch {
            // A client that holds an allocation is known; others get a bounded rate of answers.
            guard id != nil || limiter.allows(tuple.client.ip, now: now) else { return silence(.rateLimited) }
            statistics.error(error)
            let challenges = error == .unauthenticated || error == .staleNonce
            let nonce = challenges ? nonces.nonce(for: tuple.client, now: now) : nil
            return .respond(answer.refuse(error, challenge: nonce.map { (configuration.realm, $0) }))
        }
        answer.key = identity.key
        let unknown = message.unknownAttributes(limit: 8)
        guard unknown.isEmpty else { return fail(.unknownAttribute, answer, unknown: unknown) }

        if method == .allocate { return allocate(message, answer, identity, id, now: now) }
        guard let id else {
            if method == .refresh, recentlyDeleted.contains(tuple, message.transactionID) {
                return .respond(answer.succeed { $0.append(.lifetime, number: 0) })
            }
            return fail(.allocationMismatch, answer)
        }
        guard allocations[id].username == identity.username else { return fail(.wrongCredentials, answer) }
        switch method {
        case .refresh: return refresh(message, answer, id, now: now)
        case .createPermission: return createPermission(message, answer, id, now: now)
        default: return bindChannel(message, answer, id, now: now)
        }
    }

    private mutating func bind(
        _ message: borrowing STUNMessage, _ answer: inout Answer, now: MonotonicInstant
    ) -> RequestOutcome {
        // A client that holds an allocation is known; it may ask as often as it likes.
        guard liveAllocation(of: answer.tuple, now: now) != nil || limiter.allows(answer.tuple.client.ip, now: now)
        else { return silence(.rateLimited) }
        // As many as fit into the answer's bound.
        let unknown = message.unknownAttributes(limit: 4)
        guard unknown.isEmpty else {
            answer.wantsFingerprint = false
            return fail(.unknownAttribute, answer, unknown: unknown)
        }
        statistics.bindings += 1
        let client = answer.tuple.client
        return .respond(answer.succeed { $0.append(.xorMappedAddress, xorAddress: client) })
    }

    // MARK: - Authentication (RFC 8489 section 9.2.4)

    struct Identity {
        var username: String
        var user: UserAddress
        var key: LongTermKey
    }

    private func authenticate(
        _ message: borrowing STUNMessage, _ tuple: FiveTuple, _ id: AllocationID?, now: MonotonicInstant,
        wallTime: WallTime
    ) throws(STUNErrorCode) -> Identity {
        guard message.integrity != nil else { throw .unauthenticated }
        guard let username = message.text(.username), let realm = message.text(.realm),
            let nonce = message.value(.nonce)
        else { throw .badRequest }
        guard nonces.isCurrent(nonce, for: tuple.client, now: now) else { throw .staleNonce }
        guard realm == configuration.realm, let credentials = RESTCredentials(username: username)
        else { throw .unauthenticated }
        let key: LongTermKey
        if let id, allocations[id].username == username {
            // Credentials may end while the allocation goes on: a call does not break because it is long.
            key = allocations[id].key
        } else {
            guard credentials.expiresAt > wallTime else { throw .unauthenticated }
            key = LongTermKey(
                username: username, realm: realm,
                password: RESTCredentials.password(username: username, secret: configuration.sharedSecret))
        }
        guard message.hasValidIntegrity(key) else { throw .unauthenticated }
        return Identity(username: username, user: credentials.user, key: key)
    }

    // MARK: - Allocations (RFC 8656 sections 7 and 8)

    private mutating func allocate(
        _ message: borrowing STUNMessage, _ answer: Answer, _ identity: Identity, _ id: AllocationID?,
        now: MonotonicInstant
    ) -> RequestOutcome {
        if let id {
            // The first answer was lost: the same once more.
            guard allocations[id].transactionID == message.transactionID else {
                return fail(.allocationMismatch, answer)
            }
            guard allocations[id].username == identity.username else { return fail(.wrongCredentials, answer) }
            let (relayed, lifetime) = (allocations[id].relayed, allocations[id].grantedLifetimeSeconds)
            return .respond(answer.succeedAllocation(relayed: relayed, lifetimeSeconds: lifetime))
        }
        guard let transport = message.leadingByte(.requestedTransport) else { return fail(.badRequest, answer) }
        guard transport == 17 else { return fail(.unsupportedTransport, answer) }
        if message.attribute(.requestedAddressFamily) != nil {
            guard let family = message.leadingByte(.requestedAddressFamily) else { return fail(.badRequest, answer) }
            guard family == (policy.addresses.v4 != nil ? 1 : 2)
            else { return fail(.addressFamilyNotSupported, answer) }
        } else if policy.addresses.v4 == nil {
            // Without the attribute an IPv4 address is asked for (RFC 8656 section 7.2).
            return fail(.addressFamilyNotSupported, answer)
        }
        let evenPort = message.value(.evenPort)
        guard evenPort.map({ $0.count == 1 }) ?? true else { return fail(.badRequest, answer) }
        // The next higher port is not kept for anyone.
        if let evenPort, evenPort[0] & 0x80 != 0 { return fail(.insufficientCapacity, answer) }
        guard !isDraining else { return fail(.insufficientCapacity, answer) }
        let pending = PendingAllocation(
            tuple: answer.tuple, user: identity.user, wantsEvenPort: evenPort != nil, username: identity.username,
            key: identity.key, transactionID: message.transactionID,
            lifetimeSeconds: lifetime(asked: message.number(.lifetime)),
            wantsFingerprint: answer.wantsFingerprint)
        // One that no sweep has taken yet would be in the way.
        let former = allocations.id(of: answer.tuple).map { close($0) }
        return .openRelay(pending, former: former)
    }

    /// Installs the allocation, and writes the answer into `output`.
    ///
    /// - Parameter port: of the relay socket that was opened.
    public mutating func completeAllocation(
        _ pending: PendingAllocation, port: UInt16, now: MonotonicInstant, into output: UnsafeMutableRawBufferPointer
    ) -> (AllocationID, responseCount: Int) {
        guard let address = policy.addresses.v4 ?? policy.addresses.v6 else { preconditionFailure("no relay address") }
        let relayed = SocketAddress(address.relayed, port: port)
        let id = allocations.insert(
            Allocation(pending, relayed: relayed, expiresAt: now + .seconds(Int64(pending.lifetimeSeconds))))
        statistics.allocationsOpened += 1
        let answer = Answer(pending, output: output)
        return (id, answer.succeedAllocation(relayed: relayed, lifetimeSeconds: pending.lifetimeSeconds))
    }

    /// Writes the refusal into `output`.
    public mutating func refuseAllocation(
        _ pending: PendingAllocation, _ code: STUNErrorCode, into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        statistics.error(code)
        return Answer(pending, output: output).refuse(code)
    }

    private func lifetime(asked: UInt32?) -> UInt32 {
        let (standard, most) = (configuration.defaultLifetimeSeconds, configuration.maxLifetimeSeconds)
        return UInt32(max(standard, min(asked.map(Int.init) ?? standard, most)))
    }

    private mutating func refresh(
        _ message: borrowing STUNMessage, _ answer: Answer, _ id: AllocationID, now: MonotonicInstant
    ) -> RequestOutcome {
        if let family = message.leadingByte(.requestedAddressFamily),
            family != (policy.addresses.v4 != nil ? 1 : 2)
        {
            return fail(.peerAddressFamilyMismatch, answer)
        }
        if message.number(.lifetime) == 0 {
            recentlyDeleted.remember(answer.tuple, message.transactionID)
            return .closeRelay(close(id), respond: answer.succeed { $0.append(.lifetime, number: 0) })
        }
        let seconds = lifetime(asked: message.number(.lifetime))
        allocations[id].expiresAt = now + .seconds(Int64(seconds))
        return .respond(answer.succeed { $0.append(.lifetime, number: seconds) })
    }

    // MARK: - Permissions and channels (RFC 8656 sections 10 and 12)

    private func refusal(of peer: SocketAddress?, for use: PeerPolicy.PeerUse) -> STUNErrorCode? {
        policy.refusal(of: peer, for: use, over: .udp) { policy.addresses[$0] != nil }
    }

    private mutating func createPermission(
        _ message: borrowing STUNMessage, _ answer: Answer, _ id: AllocationID, now: MonotonicInstant
    ) -> RequestOutcome {
        var ips: [IPAddress] = []
        var current = message.attribute()
        while let attribute = current {
            if attribute.type == .xorPeerAddress {
                let peer = message.xorAddress(attribute)
                if let code = refusal(of: peer, for: .permission) { return fail(code, answer) }
                if let peer, !ips.contains(peer.ip) { ips.append(peer.ip) }
            }
            current = message.attribute(after: attribute)
        }
        guard !ips.isEmpty else { return fail(.badRequest, answer) }
        guard permit(ips, id, now: now) else { return fail(.insufficientCapacity, answer) }
        return .respond(answer.succeed { _ in })
    }

    /// Installs all or none.
    private mutating func permit(_ ips: [IPAddress], _ id: AllocationID, now: MonotonicInstant) -> Bool {
        let held = allocations[id].prunePermissions(now: now)
        let added = ips.count { allocations[id].permission(for: $0, now: now) == nil }
        guard held + added <= configuration.maxPermissionsPerAllocation else { return false }
        for ip in ips {
            allocations[id].permit(ip, byPort: policy.verdict(ip) == .byPort, until: now + Self.permissionLifetime)
        }
        return true
    }

    private mutating func bindChannel(
        _ message: borrowing STUNMessage, _ answer: Answer, _ id: AllocationID, now: MonotonicInstant
    ) -> RequestOutcome {
        let numbers =
            configuration.allowsFormerChannelNumbers ? ChannelData.formerChannelNumbers : ChannelData.channelNumbers
        guard let number = message.channelNumber, numbers.contains(number),
            let peer = message.xorAddress(.xorPeerAddress)
        else { return fail(.badRequest, answer) }
        if let code = refusal(of: peer, for: .channel) { return fail(code, answer) }
        let held = allocations[id].pruneChannels(now: now)
        let (byNumber, byPeer) = (
            allocations[id].channel(number, now: now), allocations[id].channel(to: peer, now: now)
        )
        if byNumber == nil, byPeer == nil {
            guard held < configuration.maxChannelsPerAllocation else { return fail(.insufficientCapacity, answer) }
        } else {
            guard byNumber?.peer == peer, byPeer?.number == number else { return fail(.badRequest, answer) }
        }
        guard permit([peer.ip], id, now: now) else { return fail(.insufficientCapacity, answer) }
        allocations[id].bind(
            number, to: peer, byPort: policy.verdict(peer.ip) == .byPort, until: now + Self.channelLifetime)
        return .respond(answer.succeed { _ in })
    }

    // MARK: - Answers

    private mutating func silence(_ reason: RelayDropReason) -> RequestOutcome {
        statistics.drop(reason)
        return .silence
    }

    private mutating func fail(
        _ code: STUNErrorCode, _ answer: Answer, unknown: [STUNAttributeType] = []
    ) -> RequestOutcome {
        statistics.error(code)
        return .respond(answer.refuse(code, unknown: unknown))
    }
}
