import Base
import RouterService
import Testing
import Wire

@Suite(.timeLimit(.minutes(1))) struct InboxTests {
    @Test func mailForAUserWhoNeverConnectedWaitsForTheFirstDevice() async throws {
        let central = try Central()
        let alice = try await central.edge("a").connect(central.token("alice/phone"))
        await alice.send(message(1, to: .user("bob")))
        let accepted = await alice.accepted(id(1))
        #expect(accepted.time == central.clock.now)
        let bob = try await central.edge("b").connect(central.token("bob/phone"))
        let delivery = await bob.delivered(1)
        #expect(
            delivery
                == .init(
                    sequence: 1, id: id(1), from: .device(user: "alice", device: "phone"), to: .user("bob"),
                    messageClass: .message, time: central.clock.now, payload: Array("m1".utf8)))
        await bob.drained()
        // The second device has an inbox of its own, from now on.
        let desk = try await central.edge("c").connect(central.token("bob/desk"))
        await desk.drained()
        #expect(desk.deliveries.isEmpty)
        await alice.send(message(2, to: .user("bob")))
        #expect(await desk.delivered(1).id == id(2))
        #expect(await bob.delivered(2).id == id(2))
    }

    @Test func aDeviceResumesOnAnotherEdgeWithoutLossOrRepetition() async throws {
        let central = try Central()
        let alice = try await central.edge("a").connect(central.token("alice/phone"))
        let first = try central.edge("b")
        let bob = try await first.connect(central.token("bob/phone"))
        for number in 1...3 { await alice.send(message(UInt64(number), to: .user("bob"))) }
        _ = await bob.delivered(3)
        await bob.send(.ack(sequence: 1))
        first.goDown()
        for number in 4...5 { await alice.send(message(UInt64(number), to: .user("bob"))) }
        _ = await alice.accepted(id(5))
        let again = try await central.edge("c").connect(
            central.token("bob/phone"), resume: ResumePoint(token: bob.opened.resumeToken, sequence: 2))
        #expect(again.opened.resumed)
        await again.drained()
        #expect(again.deliveries == [3, 4, 5])
        await again.send(.ack(sequence: 5))
        // Without a resume point all that is not acknowledged comes again, and nothing else.
        await alice.send(message(6, to: .user("bob")))
        _ = await again.delivered(6)
        let third = try await central.edge("d").connect(central.token("bob/phone"))
        #expect(!third.opened.resumed)
        await third.drained()
        #expect(third.deliveries == [6])
        #expect(await again.closed() == 4409)
    }

    @Test func whatAnEdgeHasSentButNobodyAcknowledgedIsNotLost() async throws {
        let central = try Central()
        let first = try central.edge("a")
        let alice = try await first.connect(central.token("alice/phone"))
        let bob = try await first.connect(central.token("bob/phone"))
        for number in 1...3 { await alice.send(message(UInt64(number), to: .user("bob"))) }
        _ = await bob.delivered(3)
        // The edge's link is renewed: it goes on behind what it has sent. The client had only the first of it.
        let reopened = try await central.edge("b").connect(
            central.token("bob/phone"), resume: ResumePoint(token: bob.opened.resumeToken, sequence: 3))
        await reopened.drained()
        #expect(reopened.opened.resumed && reopened.deliveries.isEmpty)
        // The client never saw the newer welcome.
        let again = try await central.edge("c").connect(
            central.token("bob/phone"), resume: ResumePoint(token: bob.opened.resumeToken, sequence: 1))
        await again.drained()
        #expect(again.opened.resumed && again.deliveries == [2, 3])
    }

    @Test func anIdIsDeliveredOnceAndAnsweredAlike() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        let bob = try await edge.connect(central.token("bob/phone"))
        await alice.send(message(1, to: .user("bob")))
        let first = await alice.accepted(id(1))
        central.advance(by: .seconds(5))
        let again = try await central.edge("b").connect(central.token("alice/phone"))
        await again.send(message(1, to: .user("bob")))
        #expect(await again.accepted(id(1)) == first)
        await again.send(message(2, to: .user("bob")))
        #expect(await bob.delivered(2).id == id(2))
        #expect(bob.deliveries == [1, 2])
        // Another device's id of the same name is another message.
        let carol = try await edge.connect(central.token("carol/phone"))
        await carol.send(message(1, to: .user("bob")))
        #expect(await bob.delivered(3).from == .device(user: "carol", device: "phone"))
    }

    @Test func noMoreThanTheCreditIsUnacknowledged() async throws {
        let central = try Central { $0.creditFrames = 8 }
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        let bob = try await edge.connect(central.token("bob/phone"))
        #expect(bob.opened.credit == 8)
        for number in 1...30 { await alice.send(message(UInt64(number), to: .user("bob"))) }
        _ = await alice.accepted(id(30))
        #expect(bob.deliveries == Array(1...8))
        await bob.send(.ack(sequence: 3))
        _ = await bob.delivered(11)
        #expect(bob.deliveries == Array(1...11))
        for sequence in stride(from: 11, to: 30, by: 4) {
            await bob.send(.ack(sequence: UInt64(sequence)))
            _ = await bob.delivered(UInt64(min(30, sequence + 8)))
        }
        #expect(bob.deliveries == Array(1...30))
    }

    @Test func whatExpiredOrOverflowedIsAGap() async throws {
        let central = try Central { $0.maxMessagesPerDevice = 3 }
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        let bob = try await edge.connect(central.token("bob/phone"))
        await bob.drained()
        edge.goDown()
        let other = try central.edge("b")
        let sender = try await other.connect(central.token("alice/phone"))
        _ = alice
        for number in 1...4 { await sender.send(message(UInt64(number), to: .user("bob"))) }
        await sender.send(message(5, to: .user("bob"), expiresInSeconds: 10))
        _ = await sender.accepted(id(5))
        central.advance(by: .seconds(10))
        let again = try await other.connect(central.token("bob/phone"))
        await again.drained()
        #expect(again.deliveries == [3, 4])
        #expect(
            again.frames().filter { if case .gap = $0 { true } else { false } } == [
                .gap(.init(from: 1, to: 2, reason: .overflowed)), .gap(.init(from: 5, to: 5, reason: .expired)),
            ])
    }

    @Test func ephemeralMessagesReachOnlyWhoIsThere() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        await alice.send(message(1, to: .user("bob"), .ephemeral))
        _ = await alice.accepted(id(1))
        let bob = try await edge.connect(central.token("bob/phone"))
        await bob.drained()
        await alice.send(message(2, to: .user("bob"), .ephemeral))
        #expect(await bob.delivered(0).id == id(2))
        #expect(bob.deliveries == [0])
    }

    @Test func refusalsSayWhy() async throws {
        let central = try Central { $0.maxDevicesPerUser = 2 }
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        await alice.send(message(1, to: .group(id(9))))
        #expect(await alice.refused(id(1)) == .invalid)
        await alice.send(message(2, to: .device(user: "bob", device: "phone")))
        #expect(await alice.refused(id(2)) == .notFound)
        await alice.send(message(3, to: .user("bob"), expiresInSeconds: 0))
        #expect(await alice.refused(id(3)) == .invalid)
        #expect(
            await refusal { _ = try await edge.connect(central.token("bob/phone", scopes: ["media:read"])) }
                == .forbidden)
        #expect(await refusal { _ = try await edge.connect("no.token.atall") } == .unauthenticated)
        _ = try await edge.connect(central.token("alice/desk"))
        #expect(await refusal { _ = try await edge.connect(central.token("alice/tv")) } == .exhausted)
    }

    @Test func tenantsNeverSeeEachOther() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        let stranger = try await edge.connect(central.token("bob/phone", tenant: "other"))
        await stranger.drained()
        await alice.send(message(1, to: .user("bob")))
        _ = await alice.accepted(id(1))
        let bob = try await edge.connect(central.token("bob/phone"))
        _ = await bob.delivered(1)
        #expect(stranger.deliveries.isEmpty)
    }

    @Test func aTokenThatExpiresClosesItsSessionUnlessItIsRefreshed() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone", life: .seconds(60)))
        let bob = try await edge.connect(central.token("bob/phone", life: .seconds(60)))
        await bob.send(.refresh(token: try central.token("alice/phone")))
        _ = await bob.first { if case .error(let error) = $0 { error.code == .forbidden ? true : nil } else { nil } }
        await bob.send(.refresh(token: try central.token("bob/phone", life: .seconds(600))))
        _ = await bob.first { if case .welcome = $0 { true } else { nil } }
        central.advance(by: .seconds(60))
        #expect(await alice.closed() == 4401)
        let carol = try await edge.connect(central.token("carol/phone"))
        await carol.send(message(1, to: .user("bob")))
        _ = await bob.delivered(1)
        central.advance(by: .seconds(540))
        #expect(await bob.closed() == 4401)
    }

    @Test func aRestartLosesNothing() async throws {
        let central = try Central()
        let before = try central.edge("a")
        let alice = try await before.connect(central.token("alice/phone"))
        let bob = try await before.connect(central.token("bob/phone"))
        for number in 1...10 { await alice.send(message(UInt64(number), to: .user("bob"))) }
        _ = await bob.delivered(10)
        await bob.send(.ack(sequence: 4))
        try central.restart()
        let after = try central.edge("a")
        let sender = try await after.connect(central.token("alice/phone"))
        await sender.send(message(10, to: .user("bob")))
        await sender.send(message(11, to: .user("bob")))
        _ = await sender.accepted(id(11))
        let again = try await after.connect(
            central.token("bob/phone"), resume: ResumePoint(token: bob.opened.resumeToken, sequence: 7))
        #expect(again.opened.resumed)
        await again.drained()
        #expect(again.deliveries == [8, 9, 10, 11])
    }
}
