import Base
import RouterEngine
import Synchronization
import UplinkService
import Wire

/// The connected edges, the sessions on them, and the calls among these.
///
/// One lock holds all of it, and frames are handed to the links under it: what one session receives has one order, that of
/// the commits. A link takes a notice without waiting.
final class SessionHub: Sendable {
    struct Session: Sendable {
        let link: UplinkLink
        let device: DeviceAddress
        /// The device's inbox in the database.
        let inbox: Int64
        let resumeToken: String
        var window: DeliveryWindow
        var scopes: Set<String>
        var tokenExpiresAt: WallTime
        /// Frames that wait for the disk.
        var pendingFrames = 0
    }

    /// A page of an inbox that somebody has to read.
    struct Reading: Sendable {
        var session: SessionID
        var inbox: Int64
        var request: DeliveryWindow.ReadRequest
    }

    struct State {
        var links: [UInt64: UplinkLink] = [:]
        var sessions = SessionTable<Session>()
        var calls: CallTable
    }

    let state: Mutex<State>
    let metrics: RouterMetrics
    private let maxSessions: Int

    init(calls: CallTable.Configuration, maxSessions: Int, metrics: RouterMetrics) {
        state = Mutex(State(calls: CallTable(configuration: calls)))
        self.maxSessions = maxSessions
        self.metrics = metrics
    }

    // MARK: Links

    func add(_ link: UplinkLink) { state.withLock { $0.links[link.id] = link } }

    /// - Returns: the sessions that went with the link.
    func remove(_ link: UplinkLink) -> [SessionID] {
        state.withLock { state in
            state.links[link.id] = nil
            let gone = state.sessions.close(link: link.id)
            metrics.sessions.set(Int64(state.sessions.count))
            return gone
        }
    }

    var links: [UplinkLink] { state.withLock { Array($0.links.values) } }

    var isFull: Bool { state.withLock { $0.sessions.count >= maxSessions } }

    // MARK: Sessions

    /// Enters a session; an older one of the device is closed with 4409.
    ///
    /// - Returns: the session that was replaced, if there was one; nil if the link has gone meanwhile.
    func open(_ id: SessionID, _ session: Session) -> SessionID?? {
        state.withLock { state in
            guard state.links[id.link] != nil, state.sessions[id] == nil else { return nil }
            if let replaced = state.sessions.session(of: session.device) {
                state.sessions[replaced]?.link.send(
                    .sessionClose(
                        SessionClose(session: replaced.session, code: 4409, reason: "this device has connected again")))
            }
            let older = state.sessions.open(id, device: session.device, session)
            metrics.sessions.set(Int64(state.sessions.count))
            return .some(older)
        }
    }

    /// Starts the deliveries of a session, and hands it the calls that ring.
    func begin(_ id: SessionID, now: WallTime) -> Reading? {
        state.withLock { state in
            guard let device = state.sessions[id]?.device else { return nil }
            let reading = advance(&state, id) { $0.begin() }
            for notice in state.calls.connected(device, now: now) { send(state, id, .call(notice)) }
            return reading
        }
    }

    /// The edge or the client has ended the session.
    func close(_ id: SessionID) {
        state.withLock { state in
            state.sessions.close(id)
            metrics.sessions.set(Int64(state.sessions.count))
        }
    }

    /// Ends a session from this side.
    func close(_ id: SessionID, code: UInt16, reason: String) {
        state.withLock { state in
            guard let closed = state.sessions.close(id) else { return }
            closed.value.link.send(.sessionClose(SessionClose(session: id.session, code: code, reason: reason)))
            metrics.sessions.set(Int64(state.sessions.count))
        }
    }

    subscript(id: SessionID) -> Session? { state.withLock { $0.sessions[id] } }

    /// Changes a session in place; nil if it is gone.
    func update<Result: Sendable>(_ id: SessionID, _ change: @Sendable (inout Session) -> Result) -> Result? {
        state.withLock { $0.sessions.update(id, change) }
    }

    func send(_ frame: ServerFrame, to id: SessionID) {
        state.withLock { send($0, id, frame) }
    }

    /// Sends to every device of the users that is connected.
    func send(_ frame: ServerFrame, toEach users: some Sequence<UserAddress>) {
        state.withLock { state in
            for user in users {
                for id in state.sessions.sessions(of: user).values { send(state, id, frame) }
            }
        }
    }

    func send(_ state: State, _ id: SessionID, _ frame: ServerFrame) {
        state.sessions[id]?.link.send(.sessionFrame(session: id.session, frame))
    }

    // MARK: Deliveries

    /// A message was committed to inboxes: it goes to those sessions that have all before it.
    func deliver(
        _ deliver: ServerFrame.Deliver, to user: UserAddress, _ entries: [InboxEngine.Entry]
    ) -> [Reading] {
        state.withLock { state in
            let sessions = state.sessions.sessions(of: user)
            var readings: [Reading] = []
            for entry in entries {
                guard let id = sessions[entry.device],
                    let result = state.sessions.update(id, { $0.window.committed(entry.sequence) })
                else { continue }
                if result.sendsNow {
                    var frame = deliver
                    frame.sequence = entry.sequence
                    metrics.deliveries.increment()
                    send(state, id, .deliver(frame))
                } else if let reading = perform(&state, id, result.actions, []) {
                    readings.append(reading)
                }
            }
            return readings
        }
    }

    /// Sends a message that is never stored to the devices that are connected.
    func deliverLive(_ deliver: ServerFrame.Deliver, to user: UserAddress, device: String?) {
        state.withLock { state in
            for (name, id) in state.sessions.sessions(of: user) where device == nil || device == name {
                metrics.deliveries.increment()
                send(state, id, .deliver(deliver))
            }
        }
    }

    /// - Returns: the inbox and the number up to which it may be deleted; and what to read next.
    func acknowledge(_ id: SessionID, _ sequence: UInt64) -> (
        acknowledged: (inbox: Int64, through: UInt64)?, reading: Reading?
    ) {
        state.withLock { state in
            guard let inbox = state.sessions[id]?.inbox,
                let result = state.sessions.update(id, { $0.window.acknowledge(sequence) })
            else { return (nil, nil) }
            return (result.through.map { (inbox, $0) }, perform(&state, id, result.actions, []))
        }
    }

    func received(_ page: InboxStore.Page, for id: SessionID) -> Reading? {
        state.withLock { state in
            guard let actions = state.sessions.update(id, { $0.window.received(page.window) }) else { return nil }
            return perform(&state, id, actions, page.deliveries)
        }
    }

    func readFailed(_ id: SessionID) {
        _ = state.withLock { $0.sessions.update(id) { $0.window.readFailed() } }
    }

    func retry(_ id: SessionID) -> Reading? {
        state.withLock { state in advance(&state, id) { $0.retry() } }
    }

    private func advance(
        _ state: inout State, _ id: SessionID, _ step: (inout DeliveryWindow) -> [DeliveryWindow.Action]
    ) -> Reading? {
        guard let actions = state.sessions.update(id, { step(&$0.window) }) else { return nil }
        return perform(&state, id, actions, [])
    }

    private func perform(
        _ state: inout State, _ id: SessionID, _ actions: [DeliveryWindow.Action], _ deliveries: [ServerFrame.Deliver]
    ) -> Reading? {
        var reading: Reading?
        for action in actions {
            switch action {
            case .deliver(let index):
                metrics.deliveries.increment()
                send(state, id, .deliver(deliveries[index]))
            case .gap(let gap): send(state, id, .gap(gap))
            case .drained: send(state, id, .drained)
            case .read(let request):
                reading = state.sessions[id].map { Reading(session: id, inbox: $0.inbox, request: request) }
            }
        }
        return reading
    }
}
