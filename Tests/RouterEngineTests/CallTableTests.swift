import Base
import Testing
import Wire

@testable import RouterEngine

@Suite struct CallTableTests {
    private var table = CallTable()
    private let alice: DeviceAddress
    private let phone: DeviceAddress
    private let desk: DeviceAddress

    init() throws {
        alice = try device("alice/phone")
        phone = try device("bob/phone")
        desk = try device("bob/desk")
    }

    private mutating func signal(
        _ event: CallEvent, from: DeviceAddress, to: PeerAddress, number: UInt64, now: WallTime = start
    ) throws -> [CallTable.Delivery] {
        try table.signal(
            ClientFrame.CallSignal(id: id(number), call: id(100), event: event, to: to, data: [UInt8(number)]),
            from: from,
            now: now, isConnected: { _ in true })
    }

    @Test mutating func anOfferRingsEverywhereAndTheFirstAnswerTakesIt() throws {
        let offer = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        #expect(offer.map(\.target) == [.user(phone.owner, except: nil)])
        #expect(try signal(.candidates, from: alice, to: .user("bob"), number: 2).count == 1)
        #expect(table.connected(desk, now: start).map(\.event) == [.offer, .candidates])
        let answer = try signal(.answer, from: desk, to: PeerAddress(alice), number: 3)
        #expect(answer.map(\.target) == [.device(alice), .user(phone.owner, except: "desk")])
        #expect(answer.map(\.notice.event) == [.answer, .cancel])
        #expect(answer.map(\.notice.reason) == [nil, "accepted_elsewhere"])
        #expect(table.connected(phone, now: start).isEmpty, "nothing rings on")
        #expect(throws: RouterError.callAnsweredElsewhere) {
            try signal(.accept, from: phone, to: .user("alice"), number: 4)
        }
        let later = try signal(.renegotiate, from: alice, to: .user("bob"), number: 5)
        #expect(later.map(\.target) == [.device(desk)])
        #expect(try signal(.hangup, from: alice, to: .user("bob"), number: 6).map(\.target) == [.device(desk)])
        #expect(table.count == 0)
    }

    @Test mutating func aRepeatedSignalIsPassedOnOnce() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        #expect(try signal(.offer, from: alice, to: .user("bob"), number: 1).isEmpty)
    }

    @Test mutating func aUserDoesNotTakeTheRoomOfAll() throws {
        var configuration = CallTable.Configuration()
        configuration.maxCallsPerUser = 2
        table = CallTable(configuration: configuration)
        func offer(_ call: UInt64, from sender: DeviceAddress) throws {
            let signal = ClientFrame.CallSignal(
                id: id(call + 50), call: id(call), event: .offer, to: .user("carol"), data: [])
            _ = try table.signal(signal, from: sender, now: start, isConnected: { _ in true })
        }
        try offer(1, from: phone)
        try offer(2, from: desk)
        #expect(throws: RouterError.tooManyCalls) { try offer(3, from: phone) }
        try offer(4, from: alice)
        #expect(table.expire(now: start + .seconds(60)).count == 6)
        try offer(5, from: phone)
    }

    @Test mutating func whatWasRefusedIsRefusedAgain() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        _ = try signal(.accept, from: desk, to: .user("alice"), number: 2)
        for _ in 1...2 {
            #expect(throws: RouterError.callAnsweredElsewhere, "the first answer may have been lost with its link") {
                try signal(.accept, from: phone, to: .user("alice"), number: 3)
            }
        }
    }

    @Test mutating func cancelStopsTheRinging() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        let cancel = try signal(.cancel, from: alice, to: .user("bob"), number: 2)
        #expect(cancel.map(\.target) == [.user(phone.owner, except: nil)])
        #expect(table.connected(phone, now: start).isEmpty)
    }

    @Test mutating func rejectOnOneDeviceStopsTheOthers() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        #expect(try signal(.busy, from: desk, to: .user("alice"), number: 2).map(\.target) == [.device(alice)])
        let reject = try signal(.reject, from: phone, to: .user("alice"), number: 3)
        #expect(reject.map(\.target) == [.device(alice), .user(phone.owner, except: "phone")])
    }

    @Test mutating func anUnansweredOfferEndsForBothSidesOnTime() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        #expect(table.nextDeadline == start + .seconds(60))
        #expect(table.expire(now: start + .milliseconds(59_999)).isEmpty)
        #expect(!table.connected(phone, now: start + .milliseconds(59_999)).isEmpty)
        #expect(table.connected(phone, now: start + .seconds(60)).isEmpty)
        let ends = table.expire(now: start + .seconds(60))
        #expect(ends.map(\.target) == [.user(phone.owner, except: nil), .device(alice)])
        #expect(ends.map(\.notice.reason) == ["timeout", "timeout"])
        #expect(table.count == 0)
    }

    @Test mutating func strangersHaveNoPartInACall() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        #expect(throws: RouterError.notInCall) {
            try signal(.answer, from: device("mallory/phone"), to: .user("alice"), number: 2)
        }
        #expect(throws: RouterError.wrongPeer) { try signal(.candidates, from: alice, to: .user("carol"), number: 3) }
        #expect(throws: RouterError.groupsNotAvailable) {
            try table.signal(
                ClientFrame.CallSignal(id: id(9), call: id(101), event: .offer, to: .group(id(1))), from: alice,
                now: start,
                isConnected: { _ in true })
        }
    }

    @Test mutating func aCallerWhoReconnectsGetsTheAnswer() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        _ = try table.signal(
            ClientFrame.CallSignal(id: id(2), call: id(100), event: .answer, to: .user("alice")), from: phone,
            now: start,
            isConnected: { _ in false })
        #expect(table.connected(alice, now: start).map(\.event) == [.answer])
        #expect(table.connected(alice, now: start).isEmpty)
    }

    @Test mutating func whatIsHeldIsBounded() throws {
        _ = try signal(.offer, from: alice, to: .user("bob"), number: 1)
        for number in 2..<200 { _ = try signal(.candidates, from: alice, to: .user("bob"), number: UInt64(number)) }
        let held = table.connected(phone, now: start)
        #expect(held.count == 32)
        #expect(held.first?.event == .offer)
    }
}
