import Base
import RouterService
import Runtime
import Testing
import Wire

@Suite(.timeLimit(.minutes(1))) struct StatusTests {
    private func post(
        _ number: UInt64, audience: [String], media: MediaID? = nil, expiresInMilliseconds: Int64? = nil
    ) -> ClientFrame {
        .statusPost(
            .init(
                id: id(number), audience: audience, media: media, payload: [1, 2, 3],
                expiresInMilliseconds: expiresInMilliseconds))
    }

    private func list(_ client: Client, _ number: UInt64, user: String? = nil) async -> [UUID] {
        await client.send(.statusList(.init(id: id(number), user: user)))
        return await client.first {
            if case .statusItems(let items) = $0, items.id == id(number) { items.items.map(\.status) } else { nil }
        }
    }

    private func gone(_ client: Client, _ status: UUID) async {
        _ = await client.first {
            if case .statusGone(let gone) = $0 { gone.status == status ? true : nil } else { nil }
        }
    }

    @Test func theAudienceSeesAStatusUntilItsMillisecond() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        let bob = try await central.edge("b").connect(central.token("bob/phone"))
        let carol = try await edge.connect(central.token("carol/phone"))
        await alice.send(post(1, audience: ["bob"], expiresInMilliseconds: 2000))
        let accepted = await alice.accepted(id(1))
        #expect(accepted.expiresAt == central.clock.now + .milliseconds(2000))
        let new = await bob.first { if case .statusNew(let item) = $0 { item } else { nil } }
        #expect(new.status == id(1) && new.user == "alice" && new.payload == [1, 2, 3])
        #expect(await list(bob, 2) == [id(1)])
        #expect(await list(bob, 3, user: "alice") == [id(1)])
        #expect(await list(alice, 4) == [id(1)])
        #expect(await list(carol, 5) == [])
        #expect(await list(carol, 6, user: "alice") == [])
        // Its last millisecond; then nobody lists it, whether or not it has been deleted yet.
        central.clock.advance(by: .milliseconds(1999))
        #expect(await list(bob, 7) == [id(1)])
        #expect(!bob.frames().contains(.statusGone(.init(status: id(1), user: "alice"))))
        central.clock.advance(by: .milliseconds(1))
        #expect(await list(bob, 8) == [])
        #expect(await list(bob, 9, user: "alice") == [])
        #expect(await list(alice, 10, user: "alice") == [])
        central.service.checkDeadlines()
        await gone(bob, id(1))
        await gone(alice, id(1))
        #expect(!carol.frames().contains { if case .statusNew = $0 { true } else { false } })
    }

    @Test func theTimerIsNeverEarlyAndHardlyLate() async throws {
        let central = try Central(usesWallClock: true)
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        let bob = try await edge.connect(central.token("bob/phone"))
        await alice.send(post(1, audience: ["bob"], expiresInMilliseconds: 200))
        let expiresAt = try #require(await alice.accepted(id(1)).expiresAt)
        await gone(bob, id(1))
        let late = (WallClock.now() - expiresAt).milliseconds
        #expect(late >= 0)
        #expect(late < 500, "\(late) ms; the machine may be busy")
    }

    @Test func deletionTellsEverybodyAndIsAnsweredAlike() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        let bob = try await edge.connect(central.token("bob/phone"))
        await alice.send(post(1, audience: ["bob"]))
        _ = await alice.accepted(id(1))
        await bob.send(.statusDelete(.init(id: id(2), status: id(1))))
        #expect(await bob.refused(id(2)) == .notFound)
        await alice.send(.statusDelete(.init(id: id(3), status: id(1))))
        _ = await alice.accepted(id(3))
        await gone(bob, id(1))
        #expect(await list(bob, 4) == [])
        await alice.send(.statusDelete(.init(id: id(3), status: id(1))))
        _ = await alice.accepted(id(3))
        // The id of a status that is gone does not make it come back.
        await alice.send(post(1, audience: ["bob"]))
        #expect(await list(alice, 5) == [])
    }

    @Test func aStatusSurvivesARestartAndStillExpires() async throws {
        let central = try Central()
        let before = try await central.edge("a").connect(central.token("alice/phone"))
        await before.send(post(1, audience: ["bob"], expiresInMilliseconds: 5000))
        _ = await before.accepted(id(1))
        try central.restart()
        let bob = try await central.edge("b").connect(central.token("bob/phone"))
        #expect(await list(bob, 2) == [id(1)])
        central.advance(by: .seconds(5))
        await gone(bob, id(1))
        #expect(await list(bob, 3) == [])
    }

    @Test func theScopeIsNeeded() async throws {
        let central = try Central()
        let alice = try await central.edge("a").connect(central.token("alice/phone", scopes: ["connect"]))
        await alice.send(post(1, audience: ["bob"]))
        #expect(await alice.refused(id(1)) == .forbidden)
        await alice.send(.call(.init(id: id(2), call: id(3), event: .offer, to: .user("bob"))))
        #expect(await alice.refused(id(2)) == .forbidden)
    }
}

@Suite(.timeLimit(.minutes(1))) struct CallTests {
    private func call(_ number: UInt64, _ event: CallEvent, to: PeerAddress) -> ClientFrame {
        .call(.init(id: id(number), call: id(100), event: event, to: to, data: [9]))
    }

    private func noticed(_ client: Client, _ event: CallEvent) async -> ServerFrame.CallNotice {
        await client.first { if case .call(let notice) = $0, notice.event == event { notice } else { nil } }
    }

    @Test func anOfferReachesALateDeviceAndTheAnswerStopsTheOthers() async throws {
        let central = try Central()
        let alice = try await central.edge("a").connect(central.token("alice/phone"))
        let phone = try await central.edge("b").connect(central.token("bob/phone"))
        await alice.send(call(1, .offer, to: .user("bob")))
        _ = await alice.accepted(id(1))
        #expect(await noticed(phone, .offer).from == .device(user: "alice", device: "phone"))
        let desk = try await central.edge("c").connect(central.token("bob/desk"))
        _ = await noticed(desk, .offer)
        await desk.send(call(2, .accept, to: .device(user: "alice", device: "phone")))
        _ = await noticed(alice, .accept)
        #expect(await noticed(phone, .cancel).reason == "accepted_elsewhere")
        await alice.send(call(3, .hangup, to: .user("bob")))
        _ = await noticed(desk, .hangup)
    }

    @Test func nothingRingsOn() async throws {
        let central = try Central()
        let edge = try central.edge("a")
        let alice = try await edge.connect(central.token("alice/phone"))
        await alice.send(call(1, .offer, to: .user("bob")))
        _ = await alice.accepted(id(1))
        central.advance(by: .seconds(60))
        #expect(await noticed(alice, .cancel).reason == "timeout")
        let bob = try await edge.connect(central.token("bob/phone"))
        await bob.drained()
        #expect(!bob.frames().contains { if case .call = $0 { true } else { false } })
    }
}
