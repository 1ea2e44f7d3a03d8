import Base
import RelayEngine
import Runtime
import Synchronization

/// What the loops of a relay share. Asked about requests, never about packets; the ports alone are, and they are atomic.
final class RelaySharedState: Sendable {
    let ports = RelayedPorts()
    let metrics: RelayMetrics
    let audit: RelayAudit
    let admission: StreamAdmission
    let streamLimits: StreamLimits
    /// Of TCP allocations.
    let connections = WaitingConnections()
    /// Who is asked about users whom nothing here knows.
    let hook: AuthorizationHook?
    let isDraining = Atomic<Bool>(false)
    private let quota: Mutex<AllocationQuota>
    private let reservations: Mutex<ReservationTable<ReservedPort>>
    /// On which loop each mobile allocation is, by its number.
    private let mobile = Mutex<[UInt64: Int]>([:])
    private let loops = Mutex<[RelayLoop]>([])
    private let warnedOfPortsAt = Mutex<MonotonicInstant?>(nil)

    init(
        quota: AllocationQuota, admission: StreamAdmission, streamLimits: StreamLimits, maxReservations: Int,
        hook: AuthorizationHook?, metrics: RelayMetrics, audit: RelayAudit
    ) {
        self.admission = admission
        self.streamLimits = streamLimits
        self.quota = Mutex(quota)
        reservations = Mutex(ReservationTable(capacity: maxReservations))
        self.hook = hook
        self.metrics = metrics
        self.audit = audit
    }

    func withQuota<Result>(_ body: (inout sending AllocationQuota) -> sending Result) -> sending Result {
        quota.withLock(body)
    }

    var allocationCount: Int { quota.withLock { $0.total } }

    // MARK: - Loops

    func meet(_ relayLoops: [RelayLoop]) { loops.withLock { $0 = relayLoops } }

    /// The loops know each other through this; at the end they forget each other.
    func part() { loops.withLock { $0 = [] } }

    func loop(_ index: Int) -> RelayLoop? { loops.withLock { index < $0.count ? $0[index] : nil } }

    // MARK: - Mobile allocations

    func rememberMobile(_ number: UInt64, at index: Int) {
        if number != 0 { mobile.withLock { $0[number] = index } }
    }

    func forgetMobile(_ number: UInt64) {
        if number != 0 { mobile.withLock { $0[number] = nil } }
    }

    func loopOfMobile(_ number: UInt64) -> RelayLoop? { mobile.withLock { $0[number] }.flatMap { loop($0) } }

    // MARK: - Reserved ports

    func hasRoomForReservation(of user: UserAddress) -> Bool { reservations.withLock { $0.hasRoom(for: user) } }

    /// - Returns: the token; nil when there is no room any more.
    func reserve(_ port: ReservedPort, for user: UserAddress, now: MonotonicInstant) -> UInt64? {
        let token = UInt64.random(in: 1 ... .max)
        return reservations.withLock { $0.keep(port, token, for: user, now: now) } ? token : nil
    }

    func takeReserved(_ token: UInt64, for user: UserAddress, now: MonotonicInstant) -> ReservedPort? {
        reservations.withLock { $0.take(token, for: user, now: now) }
    }

    func expireReservations(now: MonotonicInstant) { reservations.withLock { $0.expire(now: now) } }

    // MARK: - Logging

    /// Says, once a minute at most, that ports have run out.
    func warnOfPorts(_ logger: Logger, now: MonotonicInstant) {
        let isDue = warnedOfPortsAt.withLock { last in
            if let last, now - last < .seconds(60) { return false }
            last = now
            return true
        }
        if isDue { logger.warning("no relay port could be opened; more ports, or fewer allocations, would help") }
    }
}

/// A port that waits for its allocation: bound, and not receiving. Closed with its last reference.
final class ReservedPort: Sendable {
    private let socket: Mutex<OwnedDescriptor?>

    /// On the socket's loop.
    init(_ socket: UDPSocket) { self.socket = Mutex(socket.detach()) }

    /// The socket on a loop of the caller's choice; once.
    func move(to loop: EventLoop, statistics: DatagramStatistics) -> UDPSocket? {
        guard let descriptor = socket.withLock({ $0.take() }) else { return nil }
        return try? UDPSocket(adopting: descriptor, on: loop, statistics: statistics)
    }
}
