import Base
import RouterEngine
import Synchronization
import Wire

extension SessionHub {
    /// Passes a signal on to those of the other side who are connected, and holds what an absent one needs.
    ///
    /// - Returns: when the calls are to be looked at again.
    func signal(
        _ signal: ClientFrame.CallSignal, from id: SessionID, now: WallTime
    ) -> Result<WallTime?, RouterError> {
        state.withLock { state in
            guard let sender = state.sessions[id]?.device else { return .success(nil) }
            let sessions = state.sessions
            do throws(RouterError) {
                let deliveries = try state.calls.signal(signal, from: sender, now: now) {
                    sessions.session(of: $0) != nil
                }
                send(deliveries, state)
                metrics.calls.set(Int64(state.calls.count))
                send(state, id, .accepted(ServerFrame.Accepted(id: signal.id)))
                return .success(signal.event == .offer ? state.calls.deadline(ofOfferAt: now) : nil)
            } catch {
                return .failure(error)
            }
        }
    }

    /// Ends the calls whose time is over.
    ///
    /// - Returns: when to look again.
    func expireCalls(now: WallTime) -> WallTime? {
        state.withLock { state in
            let deliveries = state.calls.expire(now: now)
            send(deliveries, state)
            metrics.calls.set(Int64(state.calls.count))
            return state.calls.nextDeadline
        }
    }

    private func send(_ deliveries: [CallTable.Delivery], _ state: State) {
        for delivery in deliveries {
            switch delivery.target {
            case .device(let device):
                if let id = state.sessions.session(of: device) { send(state, id, .call(delivery.notice)) }
            case .user(let user, let except):
                for (name, id) in state.sessions.sessions(of: user) where name != except {
                    send(state, id, .call(delivery.notice))
                }
            }
        }
    }
}
