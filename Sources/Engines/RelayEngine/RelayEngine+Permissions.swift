import Base
import STUN

/// CreatePermission and ChannelBind requests (RFC 8656 sections 10 and 12).
extension RelayEngine {
    private func refusal(
        of peer: SocketAddress?, for use: PeerPolicy.PeerUse, _ id: AllocationID
    ) -> STUNErrorCode? {
        policy.refusal(of: peer, for: use, over: allocations[id].transport) { allocations[id].livePorts[$0] != nil }
    }

    mutating func createPermission(
        _ message: borrowing STUNMessage, _ answer: Answer, _ id: AllocationID, now: MonotonicInstant
    ) -> RequestOutcome {
        var ips: [IPAddress] = []
        var current = message.attribute()
        while let attribute = current {
            if attribute.type == .xorPeerAddress {
                let peer = message.xorAddress(attribute)
                if let code = refusal(of: peer, for: .permission, id) { return fail(code, answer) }
                if let peer, !ips.contains(peer.ip) { ips.append(peer.ip) }
            }
            current = message.attribute(after: attribute)
        }
        guard !ips.isEmpty else { return fail(.badRequest, answer) }
        guard permit(ips, id, now: now) else { return fail(.insufficientCapacity, answer) }
        return .respond(answer.succeed())
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

    mutating func bindChannel(
        _ message: borrowing STUNMessage, _ answer: Answer, _ id: AllocationID, now: MonotonicInstant
    ) -> RequestOutcome {
        let numbers =
            configuration.allowsFormerChannelNumbers ? ChannelData.formerChannelNumbers : ChannelData.channelNumbers
        // TCP allocations have connections instead (RFC 6062 section 3).
        guard allocations[id].transport == .udp, let number = message.channelNumber, numbers.contains(number),
            let peer = message.xorAddress(.xorPeerAddress)
        else { return fail(.badRequest, answer) }
        if let code = refusal(of: peer, for: .channel, id) { return fail(code, answer) }
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
        return .respond(answer.succeed())
    }
}
