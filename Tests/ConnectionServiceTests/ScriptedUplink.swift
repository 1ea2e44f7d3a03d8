import Base
import Runtime
import Synchronization
import UplinkService
import Wire

/// An uplink whose central is the test: it sees what the edge asks, and answers.
final class ScriptedUplink: Uplink {
    struct State {
        var isConnected = true
        var observers: [@Sendable (UplinkEvent) -> Void] = []
        var opens: [SessionOpen] = []
        var notices: [EdgeNotice] = []
        var holds = 0
    }

    let state = Mutex(State())
    let clock = CentralClock { MonotonicClock.now() }
    let edges: [EdgeDescription] = []
    private let openSession: @Sendable (SessionOpen) async throws -> SessionOpened

    init(openSession: @escaping @Sendable (SessionOpen) async throws -> SessionOpened = { ScriptedUplink.opened($0) }) {
        self.openSession = openSession
    }

    static let alice: DeviceAddress = {
        let owner = UserAddress(tenant: .default, user: "alice")!
        return DeviceAddress(owner: owner, device: "phone")!
    }()

    static func opened(_ open: SessionOpen) -> SessionOpened {
        SessionOpened(
            device: alice, resumeToken: "resume-1", resumed: open.resume?.token == "resume-1", credit: 16,
            serverTime: WallClock.now(), tokenExpiresAt: WallClock.now() + .seconds(600))
    }

    var isConnected: Bool { state.withLock { $0.isConnected } }

    func request(_ request: UplinkRequest, timeout: Duration?) async throws -> UplinkResponse {
        guard case .sessionOpen(let open) = request else { throw EdgeError(.invalid, "not scripted") }
        state.withLock { $0.opens.append(open) }
        return .sessionOpened(try await openSession(open))
    }

    func send(_ notice: EdgeNotice) -> Bool {
        state.withLock { state in
            guard state.isConnected else { return false }
            state.notices.append(notice)
            return true
        }
    }

    func hold() { state.withLock { $0.holds += 1 } }
    func release() { state.withLock { $0.holds -= 1 } }
    func observe(_ observer: @escaping @Sendable (UplinkEvent) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    // MARK: The central's part

    func tell(_ event: UplinkEvent) {
        for observer in state.withLock({ $0.observers }) { observer(event) }
    }

    func connect(_ isConnected: Bool) {
        state.withLock { $0.isConnected = isConnected }
        let ack = UplinkHelloAck(version: 1, cluster: "test", serverTime: WallClock.now(), edges: [])
        tell(isConnected ? .connected(ack) : .disconnected)
    }

    /// Sends a frame on the session that was opened last.
    func deliver(_ frame: ServerFrame) {
        tell(.notice(.sessionFrame(session: lastSession, frame)))
    }

    var lastSession: UInt64 { state.withLock { $0.opens.last?.session ?? 0 } }
    var opens: [SessionOpen] { state.withLock { $0.opens } }

    /// The clients' frames so far, of all sessions.
    var frames: [ClientFrame] {
        state.withLock { state in
            state.notices.compactMap { notice in
                if case .sessionFrame(_, let frame) = notice { return frame }
                return nil
            }
        }
    }

    var closes: [SessionClose] {
        state.withLock { state in
            state.notices.compactMap { notice in
                if case .sessionClose(let close) = notice { return close }
                return nil
            }
        }
    }
}

/// Waits until a condition holds; a test's time limit ends it otherwise.
func until(_ condition: () -> Bool) async throws {
    while !condition() { try await Task.sleep(for: .milliseconds(2)) }
}
