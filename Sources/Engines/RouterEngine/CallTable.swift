package import Base
package import Wire

/// The calls that ring or stand, and who may signal in them.
///
/// A call rings on every device of the callee, also on one that connects within the hold time; the first device to
/// accept or answer has it, and the others are told. What no device takes ends for both sides when the hold time is
/// over, so that nothing rings on without a caller. The table is memory alone: after a restart of the central,
/// signals of standing calls pass by their addresses, and ringing starts anew with the next offer.
package struct CallTable: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// How long an offer rings and waits for a device.
        package var holdMs: Int64 = 60_000
        /// How long an answered call is known.
        package var callLifetimeMs: Int64 = 12 * 3_600_000
        package var maxCalls = 65_536
        /// Of one caller, over all its devices: nobody takes the room of all.
        package var maxCallsPerUser = 256
        /// Signals held in one call for devices that are away; above it the oldest candidates go.
        package var maxHeldSignals = 32
        /// Bytes held in one call.
        package var maxHeldBytes = 262_144

        package init() {}
    }

    package enum Target: Hashable, Sendable {
        case device(DeviceAddress)
        /// Every device that is connected, but one.
        case user(UserAddress, except: String?)
    }

    /// A signal to whoever of the target is connected.
    package struct Delivery: Equatable, Sendable {
        package var target: Target
        package var notice: ServerFrame.CallNotice
    }

    private struct Key: Hashable {
        var tenant: Tenant
        var call: UUID
    }

    private struct Call {
        var caller: DeviceAddress
        var callee: UserAddress
        /// The device that the offer named, or the one that took the call.
        var calleeDevice: DeviceAddress?
        var isAnswered = false
        var deadline: WallTime
        var held: [Delivery] = []
        /// Ids of signals seen, so that a client's repetition is not passed on twice.
        var recentIDs: [UUID] = []
    }

    private let configuration: Configuration
    private var calls: [Key: Call] = [:]
    /// Calls with something held, by the user it is held for.
    private var waiting: [UserAddress: Set<Key>] = [:]
    /// How many calls a user has begun.
    private var begun: [UserAddress: Int] = [:]

    package init(configuration: Configuration = Configuration()) { self.configuration = configuration }

    package var count: Int { calls.count }

    /// When `expire` has something to do next.
    package var nextDeadline: WallTime? { calls.values.lazy.map(\.deadline).min() }

    /// When an offer ends that nobody takes; without looking at all calls, as every offer asks.
    package func deadline(ofOfferAt time: WallTime) -> WallTime { time + .milliseconds(configuration.holdMs) }

    /// A party signals.
    ///
    /// - Parameter isConnected: whether a device has a session now.
    package mutating func signal(
        _ signal: ClientFrame.CallSignal, from sender: DeviceAddress, now: WallTime,
        isConnected: (DeviceAddress) -> Bool
    ) throws(RouterError) -> [Delivery] {
        let key = Key(tenant: sender.tenant, call: signal.call)
        guard let index = calls.index(forKey: key) else {
            let target = try target(of: signal, sender)
            guard signal.event == .offer else {
                return [Delivery(target: target, notice: notice(signal, sender))]
            }
            return try open(key, signal, sender, target, now)
        }
        if calls.values[index].recentIDs.contains(signal.id) { return [] }
        let deliveries = try proceed(key, signal, sender, now, isConnected)
        // What was refused is refused again when it is repeated.
        calls[key]?.recentIDs.append(signal.id)
        if let count = calls[key]?.recentIDs.count, count > 64 { calls[key]?.recentIDs.removeFirst() }
        return deliveries
    }

    /// A device has connected: what was held for it.
    package mutating func connected(_ device: DeviceAddress, now: WallTime) -> [ServerFrame.CallNotice] {
        guard let keys = waiting[device.owner] else { return [] }
        var notices: [ServerFrame.CallNotice] = []
        for key in keys {
            guard var call = calls[key], now < call.deadline else { continue }
            let held = call.held.filter { delivery in
                switch delivery.target {
                case .device(let target): target == device
                case .user(let user, let except): user == device.owner && device.device != except
                }
            }
            notices += held.map(\.notice)
            // What an unanswered call holds for its callee stays: a connection may be lost again, or another device come.
            if call.isAnswered || device == call.caller {
                call.held.removeAll { $0.target == .device(device) }
                calls[key] = call
                if call.held.isEmpty { forget(key, waitingFor: device.owner) }
            }
        }
        return notices
    }

    /// Ends what nobody took in time.
    package mutating func expire(now: WallTime) -> [Delivery] {
        var deliveries: [Delivery] = []
        for (key, call) in calls where call.deadline <= now {
            remove(key, call)
            guard !call.isAnswered else { continue }
            let callee = call.calleeDevice.map { Target.device($0) } ?? .user(call.callee, except: nil)
            deliveries.append(ending(key.call, from: PeerAddress(call.caller), to: callee, "timeout"))
            deliveries.append(ending(key.call, from: .user(call.callee.user), to: .device(call.caller), "timeout"))
        }
        return deliveries
    }

    private mutating func open(
        _ key: Key, _ signal: ClientFrame.CallSignal, _ sender: DeviceAddress, _ target: Target, _ now: WallTime
    ) throws(RouterError) -> [Delivery] {
        guard calls.count < configuration.maxCalls,
            begun[sender.owner, default: 0] < configuration.maxCallsPerUser
        else { throw .tooManyCalls }
        var call = Call(caller: sender, callee: sender.owner, deadline: now + .milliseconds(configuration.holdMs))
        switch target {
        case .device(let device):
            call.callee = device.owner
            call.calleeDevice = device
        case .user(let user, _): call.callee = user
        }
        let delivery = Delivery(target: target, notice: notice(signal, sender))
        call.held = [delivery]
        call.recentIDs = [signal.id]
        calls[key] = call
        begun[sender.owner, default: 0] += 1
        waiting[call.callee, default: []].insert(key)
        return [delivery]
    }

    private mutating func proceed(
        _ key: Key, _ signal: ClientFrame.CallSignal, _ sender: DeviceAddress, _ now: WallTime,
        _ isConnected: (DeviceAddress) -> Bool
    ) throws(RouterError) -> [Delivery] {
        guard var call = calls[key] else { throw .notInCall }
        let isCaller = sender == call.caller
        guard isCaller || sender.owner == call.callee else { throw .notInCall }
        let peer = isCaller ? call.callee.user : call.caller.user
        switch signal.to {
        case .user(peer), .device(peer, _): break
        default: throw .wrongPeer
        }
        if !isCaller, let device = call.calleeDevice, device != sender {
            if call.isAnswered { throw .callAnsweredElsewhere }
            throw .notInCall
        }
        let calleeTarget =
            call.calleeDevice.map { Target.device($0) }
            ?? .user(call.callee, except: call.callee == call.caller.owner ? call.caller.device : nil)
        let delivery = Delivery(target: isCaller ? calleeTarget : .device(call.caller), notice: notice(signal, sender))
        var deliveries = [delivery]
        switch signal.event {
        case .offer:
            guard isCaller, !call.isAnswered else { throw .idUsedElsewhere }
        case .accept where !isCaller && !call.isAnswered, .answer where !isCaller && !call.isAnswered:
            deliveries += take(&call, key, by: sender, "accepted_elsewhere", now)
        case .reject where !isCaller && !call.isAnswered:
            remove(key, call)
            return deliveries + others(of: call, key, than: sender, "rejected_elsewhere")
        case .hangup, .cancel, .reject:
            remove(key, call)
            // The others of an unanswered call learn it too, whoever ends it.
            return isCaller || call.isAnswered
                ? deliveries : deliveries + others(of: call, key, than: sender, "rejected_elsewhere")
        default: break
        }
        hold(delivery, in: &call, key, isConnected)
        calls[key] = call
        return deliveries
    }

    /// The first device to accept or answer has the call.
    private mutating func take(
        _ call: inout Call, _ key: Key, by device: DeviceAddress, _ reason: String, _ now: WallTime
    ) -> [Delivery] {
        let rest = others(of: call, key, than: device, reason)
        call.isAnswered = true
        call.calleeDevice = device
        call.deadline = now + .milliseconds(configuration.callLifetimeMs)
        call.held.removeAll()
        forget(key, waitingFor: call.callee)
        return rest
    }

    private func others(of call: Call, _ key: Key, than device: DeviceAddress, _ reason: String) -> [Delivery] {
        guard call.calleeDevice == nil else { return [] }
        return [ending(key.call, from: PeerAddress(call.caller), to: .user(call.callee, except: device.device), reason)]
    }

    /// Keeps a signal for a party that is away: all that reaches an unanswered callee, and what a known device misses.
    private mutating func hold(
        _ delivery: Delivery, in call: inout Call, _ key: Key, _ isConnected: (DeviceAddress) -> Bool
    ) {
        let user: UserAddress
        switch delivery.target {
        case .user(let target, _): user = target
        case .device(let device):
            if isConnected(device), call.isAnswered || device == call.caller { return }
            user = device.owner
        }
        call.held.append(delivery)
        func isTooMuch() -> Bool {
            call.held.count > configuration.maxHeldSignals
                || call.held.reduce(0) { $0 + $1.notice.data.count } > configuration.maxHeldBytes
        }
        while call.held.count > 1, isTooMuch() {
            call.held.remove(at: call.held.firstIndex { $0.notice.event == .candidates } ?? call.held.count - 1)
        }
        waiting[user, default: []].insert(key)
    }

    private mutating func remove(_ key: Key, _ call: Call) {
        calls[key] = nil
        let others = begun[call.caller.owner, default: 1] - 1
        begun[call.caller.owner] = others > 0 ? others : nil
        forget(key, waitingFor: call.callee)
        forget(key, waitingFor: call.caller.owner)
    }

    private mutating func forget(_ key: Key, waitingFor user: UserAddress) {
        waiting[user]?.remove(key)
        if waiting[user]?.isEmpty == true { waiting[user] = nil }
    }

    private func target(of signal: ClientFrame.CallSignal, _ sender: DeviceAddress) throws(RouterError) -> Target {
        switch signal.to {
        case .user(let name):
            guard let user = UserAddress(tenant: sender.tenant, user: name) else { throw .invalidUser }
            return .user(user, except: user == sender.owner ? sender.device : nil)
        case .device(let name, let device):
            guard let user = UserAddress(tenant: sender.tenant, user: name),
                let device = DeviceAddress(owner: user, device: device)
            else { throw .invalidUser }
            return .device(device)
        case .group: throw .groupsNotAvailable
        }
    }

    private func notice(_ signal: ClientFrame.CallSignal, _ sender: DeviceAddress) -> ServerFrame.CallNotice {
        ServerFrame.CallNotice(call: signal.call, event: signal.event, from: PeerAddress(sender), data: signal.data)
    }

    private func ending(_ call: UUID, from: PeerAddress, to target: Target, _ reason: String) -> Delivery {
        Delivery(
            target: target, notice: ServerFrame.CallNotice(call: call, event: .cancel, from: from, reason: reason))
    }
}
