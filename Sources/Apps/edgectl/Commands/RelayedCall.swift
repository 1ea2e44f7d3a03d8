import Base
import Client
import Runtime
import Synchronization
import Wire

/// A call between two users, as their apps would hold it: ICE servers from the edges, descriptions in `call` frames, and
/// Opus through the relay.
struct RelayedCall: Sendable {
    struct Party: Sendable {
        let user: String
        /// Connected, or about to be.
        let messaging: MessagingClient
        let iceServers: ICEServers
        /// Hertz.
        let pitch: Double
    }

    struct Result: Sendable {
        let caller: CallReport
        let callee: CallReport
        /// From the offer to the answer.
        let setUp: Duration
    }

    let caller: Party
    let callee: Party
    let context: CommandContext

    private static let framesPerSecond = 50

    func run(for duration: Duration) async throws -> Result {
        let call = UUID.v7(at: WallClock.now())
        let toCaller = EventQueue<ServerFrame.CallNotice>(capacity: 64)
        let toCallee = EventQueue<ServerFrame.CallNotice>(capacity: 64)
        let answered = Mutex<MonotonicInstant?>(nil)
        let pumps = [
            pump(caller.messaging, call, into: toCaller), pump(callee.messaging, call, into: toCallee),
        ]
        defer { pumps.forEach { $0.cancel() } }
        let voices = [
            try await voice(caller, seconds: 2), try await voice(callee, seconds: 2),
        ]
        let start = MonotonicClock.now()
        let callerSignalling = CallAgent.Signalling(
            send: { [caller, callee] in
                try await caller.messaging.signal(call: call, .offer, to: .user(callee.user), data: Array($0.utf8))
            },
            receive: {
                let sdp = try await Self.description(.answer, from: toCaller)
                answered.withLock { $0 = MonotonicClock.now() }
                return sdp
            })
        let calleeSignalling = CallAgent.Signalling(
            send: { [caller, callee] in
                let to = PeerAddress.user(caller.user)
                try await callee.messaging.signal(call: call, .ringing, to: to)
                try await callee.messaging.signal(call: call, .accept, to: to)
                try await callee.messaging.signal(call: call, .answer, to: to, data: Array($0.utf8))
            },
            receive: { try await Self.description(.offer, from: toCallee) })
        async let callerReport = agent(caller).run(
            as: .caller, frames: voices[0], duration: duration, signalling: callerSignalling)
        async let calleeReport = agent(callee).run(
            as: .callee, frames: voices[1], duration: duration, signalling: calleeSignalling)
        let (one, other) = try await (callerReport, calleeReport)
        try await caller.messaging.signal(call: call, .hangup, to: .user(callee.user))
        return Result(caller: one, callee: other, setUp: (answered.withLock { $0 } ?? start) - start)
    }

    private func agent(_ party: Party) async throws -> CallAgent {
        guard let server = party.iceServers.servers.first(where: { $0.urls.contains { $0.hasPrefix("turn:") } }),
            let username = server.username, let credential = server.credential
        else { throw CommandFailure("the edge names no TURN server") }
        let address = try await TURNServerAddress.resolve(server.urls, with: HostResolver(pool: context.pool))
        return CallAgent(
            server: address, login: RelayLogin(username: username, credential: credential), loop: context.loop)
    }

    /// Opus packets of a voice, encoded off the loop.
    private func voice(_ party: Party, seconds: Int) async throws -> [[UInt8]] {
        try await context.pool.run {
            var signal = SpeechSignal(pitch: party.pitch)
            let encoder = try OpusEncoder()
            return try (0..<seconds * Self.framesPerSecond).map { _ in
                try encoder.encode(signal.next(OpusEncoder.samplesPerPacket))
            }
        }
    }

    /// Hands on what belongs to the call.
    private func pump(
        _ messaging: MessagingClient, _ call: UUID, into queue: EventQueue<ServerFrame.CallNotice>
    ) -> Task<Void, Never> {
        context.loop.spawn {
            while let event = await messaging.events.next() {
                switch event {
                case .call(let notice) where notice.call == call: await queue.put(notice)
                case .deliver(let delivery): await messaging.acknowledge(delivery.sequence)
                default: break
                }
            }
            queue.end()
        }
    }

    private static func description(
        _ event: CallEvent, from queue: EventQueue<ServerFrame.CallNotice>
    ) async throws -> String {
        while let notice = await queue.next() {
            if notice.event == event, !notice.data.isEmpty { return String(decoding: notice.data, as: UTF8.self) }
            if [.reject, .busy, .cancel, .hangup].contains(notice.event) {
                throw CommandFailure("the other end answered with \(notice.event.rawValue)")
            }
        }
        throw CommandFailure("the connection ended before the other end's \(event.rawValue)")
    }
}
