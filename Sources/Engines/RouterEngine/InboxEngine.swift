package import Base
package import Wire

/// Decides what a message does to its recipient's inboxes.
///
/// An inbox belongs to one device and numbers its deliveries from 1 without holes, so that a hole that a reader finds
/// later is what expired or overflowed. All decisions about one recipient lie in the recipient's slot: the ids of past
/// messages for "the same answer and no second delivery" too, which is why they are kept per recipient.
///
/// Mail for a user without a device waits in an inbox named `waiting`; the first device takes it over, numbers and all.
package struct InboxEngine: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// Devices that a user may register.
        package var maxDevicesPerUser = 8
        /// Messages in one device's inbox; above it the oldest are dropped, which the device learns as a gap.
        package var maxMessagesPerDevice = 10_000
        /// Payload bytes in one device's inbox, with the same policy.
        package var maxBytesPerDevice = 64 * 1024 * 1024
        /// Messages that wait for a user's first device; above it senders are refused.
        package var maxWaitingMessages = 1000
        /// Payload bytes that wait for a user's first device, with the same policy.
        package var maxWaitingBytes = 4 * 1024 * 1024
        /// Users without a device for whom mail waits, in each of the 4,096 slots.
        package var maxWaitingUsersPerSlot = 256
        /// How long a message is kept for a device that is away, and the longest expiry that a sender may ask for.
        package var messageLifetimeMs: Int64 = 30 * 86_400_000
        /// How long a message of class `call` is kept.
        package var callMessageLifetimeMs: Int64 = 60_000
        /// How long the ids of accepted messages are remembered.
        package var acceptedIdLifetimeMs: Int64 = 30 * 86_400_000
        /// Bytes of a payload.
        package var maxPayloadBytes = WireLimits.maxPayloadBytes

        package init() {}
    }

    /// Name of the inbox of a user without devices. No device can have it.
    package static let waiting = ""

    package struct Submission: Equatable, Sendable {
        package var sender: DeviceAddress
        package var send: ClientFrame.Send
        /// When the central took it in.
        package var time: WallTime

        package init(sender: DeviceAddress, send: ClientFrame.Send, time: WallTime) {
            self.sender = sender
            self.send = send
            self.time = time
        }
    }

    /// What a decision reads: rows of the recipient's slot alone.
    package struct LoadSet: Equatable, Sendable {
        /// When a message with this id of this sender to this recipient was accepted, if one was.
        package var acceptedBefore: WallTime?
        package var inboxes: [Inbox]
        /// Users in this slot for whom mail waits. Needed only if there is no inbox.
        package var waitingUsers: Int

        package init(acceptedBefore: WallTime?, inboxes: [Inbox], waitingUsers: Int) {
            self.acceptedBefore = acceptedBefore
            self.inboxes = inboxes
            self.waitingUsers = waitingUsers
        }
    }

    package struct Inbox: Equatable, Sendable {
        package var device: String
        package var lastSequence: UInt64
        package var messages: Int
        package var bytes: Int

        package init(device: String, lastSequence: UInt64, messages: Int, bytes: Int) {
            self.device = device
            self.lastSequence = lastSequence
            self.messages = messages
            self.bytes = bytes
        }
    }

    package enum Outcome: Equatable, Sendable {
        /// Accepted before; nothing changes.
        case repeated(WallTime)
        case accepted(WriteSet)
    }

    /// What an accepted message changes; all of it in the recipient's slot.
    package struct WriteSet: Equatable, Sendable {
        package var time: WallTime
        package var expiresAt: WallTime
        package var rememberIdUntil: WallTime
        /// The `waiting` inbox must be made first.
        package var createsWaitingInbox = false
        package var entries: [Entry]
        /// Inboxes whose oldest messages go until they are within these bounds, the new message included.
        package var trims: [Trim] = []
    }

    package struct Entry: Equatable, Sendable {
        package var device: String
        package var sequence: UInt64
    }

    package struct Trim: Equatable, Sendable {
        package var device: String
        package var maxMessages: Int
        package var maxBytes: Int
    }

    private let configuration: Configuration

    package init(configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// The user whose slot decides about a message.
    package func recipient(of send: ClientFrame.Send, tenant: Tenant) throws(RouterError) -> UserAddress {
        let name: String
        switch send.to {
        case .user(let user), .device(let user, _): name = user
        case .group: throw .groupsNotAvailable
        }
        guard let user = UserAddress(tenant: tenant, user: name) else { throw .invalidUser }
        return user
    }

    package func submit(_ submission: Submission, _ loaded: LoadSet) throws(RouterError) -> Outcome {
        let send = submission.send
        precondition(send.messageClass != .ephemeral, "ephemeral messages are never stored")
        if let before = loaded.acceptedBefore { return .repeated(before) }
        guard send.payload.count <= configuration.maxPayloadBytes else {
            throw .payloadTooLarge(allowedBytes: configuration.maxPayloadBytes)
        }
        var write = WriteSet(
            time: submission.time, expiresAt: submission.time + .milliseconds(try lifetimeMs(of: send)),
            rememberIdUntil: submission.time + .milliseconds(configuration.acceptedIdLifetimeMs), entries: [])
        let devices = loaded.inboxes.filter { $0.device != Self.waiting }
        switch send.to {
        case .device(_, let device):
            guard let inbox = devices.first(where: { $0.device == device }) else { throw .unknownDevice }
            add(bytes: send.payload.count, to: inbox, &write)
        case .user where devices.isEmpty:
            try addWaiting(bytes: send.payload.count, loaded, &write)
        case .user:
            for inbox in devices { add(bytes: send.payload.count, to: inbox, &write) }
        case .group: throw .groupsNotAvailable
        }
        return .accepted(write)
    }

    private func lifetimeMs(of send: ClientFrame.Send) throws(RouterError) -> Int64 {
        let normal =
            send.messageClass == .call ? configuration.callMessageLifetimeMs : configuration.messageLifetimeMs
        guard let seconds = send.expiresInSeconds else { return normal }
        guard seconds > 0, seconds <= configuration.messageLifetimeMs / 1000 else {
            throw .expiryOutOfRange(allowedMs: configuration.messageLifetimeMs)
        }
        return seconds * 1000
    }

    private func add(bytes: Int, to inbox: Inbox, _ write: inout WriteSet) {
        write.entries.append(Entry(device: inbox.device, sequence: inbox.lastSequence + 1))
        if inbox.messages + 1 > configuration.maxMessagesPerDevice
            || inbox.bytes + bytes > configuration.maxBytesPerDevice
        {
            write.trims.append(
                Trim(
                    device: inbox.device, maxMessages: configuration.maxMessagesPerDevice,
                    maxBytes: configuration.maxBytesPerDevice))
        }
    }

    private func addWaiting(bytes: Int, _ loaded: LoadSet, _ write: inout WriteSet) throws(RouterError) {
        if let inbox = loaded.inboxes.first {
            guard inbox.messages < configuration.maxWaitingMessages,
                inbox.bytes + bytes <= configuration.maxWaitingBytes
            else { throw .waitingFull }
            write.entries = [Entry(device: Self.waiting, sequence: inbox.lastSequence + 1)]
        } else {
            guard loaded.waitingUsers < configuration.maxWaitingUsersPerSlot else { throw .waitingFull }
            write.createsWaitingInbox = true
            write.entries = [Entry(device: Self.waiting, sequence: 1)]
        }
    }
}
