package import Base
package import RelayEngine
import Runtime

/// An allocation as an operator sees it.
package struct RelaySession: Sendable {
    /// Its name as long as the process lives: the event loop's number, and the allocation's place and generation there.
    package struct Name: Hashable, Sendable, CustomStringConvertible {
        let loop: Int
        let id: AllocationID

        init(loop: Int, id: AllocationID) {
            self.loop = loop
            self.id = id
        }

        package init?(_ text: some StringProtocol) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 3, let loop = UInt8(parts[0]), let index = UInt32(parts[1]),
                let generation = UInt32(parts[2])
            else { return nil }
            self.init(loop: Int(loop), id: AllocationID(index: index, generation: generation))
        }

        package var description: String { "\(loop).\(id.index).\(id.generation)" }
    }

    package let name: Name
    /// One transport address of each family that it has.
    package let relayed: [SocketAddress]
    package let session: RelayEngine.Session
}

/// Whose allocations are meant.
package enum RelaySelection: Equatable, Sendable {
    case all
    case tenant(Tenant)
    case user(UserAddress)

    /// What is revoked by this; nil for all, which nobody can revoke.
    var revocable: Revocation.Scope? {
        switch self {
        case .all: nil
        case .tenant(let tenant): .tenant(tenant)
        case .user(let user): .user(user)
        }
    }

    func holds(_ user: UserAddress) -> Bool {
        switch self {
        case .all: true
        case .tenant(let tenant): user.tenant == tenant
        case .user(let selected): user == selected
        }
    }
}

extension RelayService {
    /// Live allocations, at most `limit`, in no order.
    package func sessions(limit: Int, of selection: RelaySelection = .all) async -> [RelaySession] {
        var sessions: [RelaySession] = []
        for (index, relayLoop) in relayLoops.enumerated() {
            for session in await relayLoop.sessions(limit: limit - sessions.count, of: selection) {
                sessions.append(
                    RelaySession(
                        name: RelaySession.Name(loop: index, id: session.id),
                        relayed: relayAddresses.relayed(session.ports), session: session))
            }
        }
        return sessions
    }

    /// Ends allocations at once.
    ///
    /// - Returns: how many there were.
    package func kick(_ selection: RelaySelection) async -> Int {
        var count = 0
        for relayLoop in relayLoops { count += await relayLoop.kick(selection) }
        return count
    }

    /// Takes back the credentials that were made before now, and ends the allocations that were.
    ///
    /// - Returns: how many there were.
    package func revoke(_ revocation: Revocation) async -> Int {
        var count = 0
        for relayLoop in relayLoops { count += await relayLoop.revoke(revocation) }
        return count
    }

    /// Ends one; false if it is gone already.
    package func kick(_ name: RelaySession.Name) async -> Bool {
        guard relayLoops.indices.contains(name.loop) else { return false }
        return await relayLoops[name.loop].kick(name.id)
    }
}

extension RelayAddresses {
    /// The transport addresses that an allocation with these ports has.
    func relayed(_ ports: AllocatedPorts) -> [SocketAddress] {
        ports.families.compactMap { family in
            guard let address = self[family], let port = ports[family] else { return nil }
            return SocketAddress(address.relayed, port: port)
        }
    }
}

extension RelayLoop {
    func sessions(limit: Int, of selection: RelaySelection) async -> [RelayEngine.Session] {
        await onLoop { $0.engine.sessions(limit: limit, now: $0.loop.now) { selection.holds($0) } }
    }

    func kick(_ selection: RelaySelection) async -> Int {
        await onLoop { relay in
            let ended = relay.engine.revoke(now: relay.loop.now) { selection.holds($0) }
            for closed in ended { relay.close(closed) }
            return ended.count
        }
    }

    func revoke(_ revocation: Revocation) async -> Int {
        await onLoop { relay in
            let ended = relay.engine.revoke(revocation, now: relay.loop.now, wallTime: WallClock.now())
            for closed in ended { relay.close(closed) }
            return ended.count
        }
    }

    func kick(_ id: AllocationID) async -> Bool {
        await onLoop { relay in
            guard let closed = relay.engine.revoke(id, now: relay.loop.now) else { return false }
            relay.close(closed)
            return true
        }
    }

    private func onLoop<Value: Sendable>(_ body: @escaping @Sendable (RelayLoop) -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: body(self)) }
        }
    }
}
