import Base
import Testing
import Wire

@testable import RouterEngine

@Suite struct InboxEngineTests {
    private func submission(
        to: PeerAddress, _ messageClass: MessageClass = .message, bytes: Int = 10, expiresInSeconds: Int64? = nil
    ) throws -> InboxEngine.Submission {
        InboxEngine.Submission(
            sender: try device("alice/phone"),
            send: ClientFrame.Send(
                id: id(1), to: to, messageClass: messageClass, payload: Array(repeating: 7, count: bytes),
                expiresInSeconds: expiresInSeconds),
            time: start)
    }

    private func inbox(_ device: String, last: UInt64 = 0, messages: Int = 0, bytes: Int = 0) -> InboxEngine.Inbox {
        InboxEngine.Inbox(device: device, lastSequence: last, messages: messages, bytes: bytes)
    }

    private func writes(_ outcome: InboxEngine.Outcome) throws -> InboxEngine.WriteSet {
        guard case .accepted(let write) = outcome else { throw RouterError.unknownMedia }
        return write
    }

    @Test func aUsersEveryDeviceGetsTheNextNumberOfItsOwn() throws {
        let write = try writes(
            InboxEngine().submit(
                submission(to: .user("bob")),
                .init(acceptedBefore: nil, inboxes: [inbox("phone", last: 4), inbox("desk", last: 9)], waitingUsers: 0))
        )
        #expect(write.entries.map(\.device) == ["phone", "desk"])
        #expect(write.entries.map(\.sequence) == [5, 10])
        #expect(write.expiresAt == start + .seconds(30 * 86_400))
        #expect(write.trims.isEmpty)
    }

    @Test func aRepetitionHasTheFirstAnswer() throws {
        let outcome = try InboxEngine().submit(
            submission(to: .user("bob")),
            .init(acceptedBefore: start + .seconds(-5), inboxes: [inbox("phone")], waitingUsers: 0))
        #expect(outcome == .repeated(start + .seconds(-5)))
    }

    @Test func namedDevicesMustExistAndGroupsAreRefused() throws {
        let engine = InboxEngine()
        let loaded = InboxEngine.LoadSet(acceptedBefore: nil, inboxes: [inbox("phone")], waitingUsers: 0)
        #expect(
            try writes(engine.submit(submission(to: .device(user: "bob", device: "phone")), loaded)).entries.count == 1)
        #expect(throws: RouterError.unknownDevice) {
            try engine.submit(submission(to: .device(user: "bob", device: "tv")), loaded)
        }
        #expect(throws: RouterError.groupsNotAvailable) {
            try engine.recipient(of: submission(to: .group(id(9))).send, tenant: .default)
        }
    }

    @Test func mailForAUserWithoutDevicesWaitsWithinBounds() throws {
        var configuration = InboxEngine.Configuration()
        configuration.maxWaitingMessages = 2
        configuration.maxWaitingUsersPerSlot = 3
        let engine = InboxEngine(configuration: configuration)
        let first = try writes(
            engine.submit(submission(to: .user("new")), .init(acceptedBefore: nil, inboxes: [], waitingUsers: 2)))
        #expect(first.createsWaitingInbox && first.entries.map(\.sequence) == [1])
        let second = try writes(
            engine.submit(
                submission(to: .user("new")),
                .init(acceptedBefore: nil, inboxes: [inbox(InboxEngine.waiting, last: 1, messages: 1)], waitingUsers: 3)
            ))
        #expect(!second.createsWaitingInbox && second.entries.map(\.sequence) == [2])
        #expect(throws: RouterError.waitingFull) {
            try engine.submit(
                submission(to: .user("new")),
                .init(acceptedBefore: nil, inboxes: [inbox(InboxEngine.waiting, last: 2, messages: 2)], waitingUsers: 3)
            )
        }
        #expect(throws: RouterError.waitingFull) {
            try engine.submit(submission(to: .user("new")), .init(acceptedBefore: nil, inboxes: [], waitingUsers: 3))
        }
    }

    @Test func aFullInboxDropsItsOldest() throws {
        var configuration = InboxEngine.Configuration()
        configuration.maxMessagesPerDevice = 3
        configuration.maxBytesPerDevice = 100
        let engine = InboxEngine(configuration: configuration)
        func trims(messages: Int, bytes: Int) throws -> Int {
            try writes(
                engine.submit(
                    submission(to: .user("bob")),
                    .init(
                        acceptedBefore: nil, inboxes: [inbox("phone", messages: messages, bytes: bytes)],
                        waitingUsers: 0))
            ).trims.count
        }
        #expect(try trims(messages: 2, bytes: 90) == 0)
        #expect(try trims(messages: 3, bytes: 30) == 1)
        #expect(try trims(messages: 1, bytes: 91) == 1)
    }

    @Test func boundsOfPayloadAndExpiry() throws {
        let engine = InboxEngine()
        let loaded = InboxEngine.LoadSet(acceptedBefore: nil, inboxes: [inbox("phone")], waitingUsers: 0)
        #expect(throws: RouterError.payloadTooLarge(allowedBytes: 262_144)) {
            try engine.submit(submission(to: .user("bob"), bytes: 262_145), loaded)
        }
        for seconds in [Int64.min, -1, 0, 30 * 86_400 + 1, .max] {
            #expect(throws: RouterError.expiryOutOfRange(allowedMs: 30 * 86_400_000)) {
                try engine.submit(submission(to: .user("bob"), expiresInSeconds: seconds), loaded)
            }
        }
        let short = try writes(engine.submit(submission(to: .user("bob"), expiresInSeconds: 5), loaded))
        #expect(short.expiresAt == start + .seconds(5))
        let call = try writes(engine.submit(submission(to: .user("bob"), .call), loaded))
        #expect(call.expiresAt == start + .seconds(60))
    }

    @Test func slotsAreTheTopTwelveBitsOfTheHash() throws {
        // printf 'default\0alice' | sha256sum
        #expect(Slot(try user("alice")).number == 0x0B6)
        let spread = Set(try (0..<2000).map { Slot(try user("user\($0)")).number })
        #expect(spread.count > 1400)
        #expect(Slot(try user("alice")) == Slot(try user("alice")))
    }
}
