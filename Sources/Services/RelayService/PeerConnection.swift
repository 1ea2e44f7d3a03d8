import Base
import RelayEngine
import Runtime
import Synchronization

/// A TCP connection with a peer of an allocation, from when it stands: it waits for its client, whose bytes it then carries on the loop of the
/// client's data connection. What the peer sends before waits in the kernel.
final class PeerConnection: Sendable {
    private enum State: ~Copyable {
        case waiting(OwnedDescriptor)
        /// A data connection is being joined to it.
        case taken
        case carrying(DataPipe)
        case ended
    }

    /// CONNECTION-ID.
    let id: UInt32
    /// As clients know it.
    let peer: SocketAddress
    /// Who may bind it.
    let owner: ConnectionOwner
    let allocation: AllocationID
    /// Of the allocation's client.
    let transport: FiveTuple.Transport
    /// What the allocation may relay.
    let limits: BandwidthLimits?
    private let home: RelayLoop
    private let bytesToPeer = Atomic<UInt64>(0)
    private let bytesToClient = Atomic<UInt64>(0)
    private let state: Mutex<State>

    /// - Parameter home: has the allocation.
    init(
        _ connection: consuming OwnedDescriptor, id: UInt32, peer: SocketAddress, owner: ConnectionOwner,
        of allocation: AllocationID, over transport: FiveTuple.Transport, limits: BandwidthLimits?, on home: RelayLoop
    ) {
        self.limits = limits
        self.transport = transport
        self.id = id
        self.peer = peer
        self.owner = owner
        self.allocation = allocation
        self.home = home
        state = Mutex(.waiting(connection))
    }

    /// Tells the allocation that the connection has ended.
    func report() { home.loop.execute { self.home.connectionEnded(self) } }

    func carried(toPeer count: Int) { bytesToPeer.add(UInt64(count), ordering: .relaxed) }
    func carried(toClient count: Int) { bytesToClient.add(UInt64(count), ordering: .relaxed) }

    /// What has passed since this was last asked.
    func takeBytes() -> ConnectionBytes {
        ConnectionBytes(
            toPeers: bytesToPeer.exchange(0, ordering: .relaxed),
            toClient: bytesToClient.exchange(0, ordering: .relaxed))
    }

    var isWaiting: Bool {
        state.withLock { state in
            switch state {
            case .waiting: true
            default: false
            }
        }
    }

    /// Hands the connection to whoever joins it with a data connection: once.
    func take() -> OwnedDescriptor? {
        state.withLock { state in
            switch consume state {
            case .waiting(let connection):
                state = .taken
                return connection
            case .taken:
                state = .taken
                return nil
            case .carrying(let pipe):
                state = .carrying(pipe)
                return nil
            case .ended:
                state = .ended
                return nil
            }
        }
    }

    /// - Returns: false when it has ended meanwhile.
    func isCarried(by pipe: DataPipe) -> Bool {
        state.withLock { state in
            switch consume state {
            case .taken:
                state = .carrying(pipe)
                return true
            case .ended:
                state = .ended
                return false
            default: preconditionFailure("a connection is joined once")
            }
        }
    }

    /// Ends it wherever it is. Ending twice does nothing.
    func end() {
        let pipe: DataPipe? = state.withLock { state in
            switch consume state {
            case .carrying(let pipe):
                state = .ended
                return pipe
            // One that waits is closed with its descriptor.
            default:
                state = .ended
                return nil
            }
        }
        if let pipe { pipe.loop.execute { pipe.close() } }
    }
}

/// The connections that wait for a ConnectionBind request, which may come to any loop.
final class WaitingConnections: Sendable {
    private let waiting = Mutex<[UInt32: PeerConnection]>([:])

    /// Gives the connection an id that none of those that wait has.
    func add(
        _ connection: consuming OwnedDescriptor, peer: SocketAddress, owner: ConnectionOwner,
        of allocation: AllocationID, over transport: FiveTuple.Transport, limits: BandwidthLimits?, on home: RelayLoop
    ) -> PeerConnection {
        let id = waiting.withLock { waiting in
            var id = UInt32.random(in: 1...UInt32.max)
            while waiting[id] != nil { id = UInt32.random(in: 1...UInt32.max) }
            return id
        }
        let added = PeerConnection(
            connection, id: id, peer: peer, owner: owner, of: allocation, over: transport, limits: limits, on: home)
        waiting.withLock { $0[id] = added }
        return added
    }

    /// The connection, which waits no longer; nil unless the user is its own.
    func claim(_ id: UInt32, owner: ConnectionOwner) -> PeerConnection? {
        waiting.withLock { waiting in
            guard waiting[id]?.owner == owner else { return nil }
            return waiting.removeValue(forKey: id)
        }
    }

    func remove(_ connection: PeerConnection) {
        waiting.withLock { waiting in
            if waiting[connection.id] === connection { waiting[connection.id] = nil }
        }
    }
}
