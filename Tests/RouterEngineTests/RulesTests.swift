import Base
import Testing
import Wire

@testable import RouterEngine

@Suite struct StatusEngineTests {
    @Test func aPostNamesEachViewerOnce() throws {
        let post = try StatusEngine().post(
            .init(id: id(1), audience: ["bob", "carol", "bob", "alice"], expiresInMilliseconds: 2000),
            by: user("alice"),
            liveStatuses: 0, now: start)
        #expect(post.audience.map(\.user) == ["bob", "carol"])
        #expect(post.expiresAt == start + .seconds(2))
        #expect(StatusEngine.isLive(expiresAt: post.expiresAt, now: start + .milliseconds(1999)))
        #expect(!StatusEngine.isLive(expiresAt: post.expiresAt, now: start + .milliseconds(2000)))
    }

    @Test func boundsAreKept() throws {
        let engine = StatusEngine()
        func post(_ frame: ClientFrame.StatusPost, live: Int = 0) throws {
            _ = try engine.post(frame, by: user("alice"), liveStatuses: live, now: start)
        }
        #expect(throws: RouterError.emptyAudience) { try post(.init(id: id(1), audience: [])) }
        #expect(throws: RouterError.invalidUser) { try post(.init(id: id(1), audience: ["b ob"])) }
        #expect(throws: RouterError.audienceTooLarge(allowed: 4096)) {
            try post(.init(id: id(1), audience: (0..<4097).map { "u\($0)" }))
        }
        #expect(throws: RouterError.tooManyStatuses(allowed: 100)) {
            try post(.init(id: id(1), audience: ["bob"]), live: 100)
        }
        for milliseconds: Int64 in [0, -1, 604_800_001, .max] {
            #expect(throws: RouterError.expiryOutOfRange(allowedMs: 7 * 86_400_000)) {
                try post(.init(id: id(1), audience: ["bob"], expiresInMilliseconds: milliseconds))
            }
        }
    }
}

@Suite struct MediaRulesTests {
    private func rights(_ change: (inout MediaRules.Rights) -> Void) -> MediaRules.Rights {
        var rights = MediaRules.Rights()
        change(&rights)
        return rights
    }

    @Test func whoMayRead() {
        let end = start + .seconds(10)
        func grant(_ mode: MediaMode, _ change: (inout MediaRules.Rights) -> Void) -> MediaRules.Grant? {
            MediaRules.grant(rights(change), mode: mode, expiresAt: end, now: start)
        }
        #expect(grant(.managed) { $0.tenantReader = true } == nil)
        #expect(grant(.sealed) { $0.tenantReader = true } == .init(until: end, noStore: false))
        #expect(grant(.managed) { $0.signedUntil = end } == .init(until: end, noStore: false))
        #expect(
            grant(.managed) {
                $0.tenantReader = true
                $0.reference = .init(expiresAt: nil)
            } == .init(until: nil, noStore: false))
        #expect(
            grant(.managed) {
                $0.tenantReader = true
                $0.reference = .init(expiresAt: start)
            } == nil, "a reference that has expired")
        #expect(
            grant(.managed) {
                $0.tenantReader = true
                $0.shownUntil = start + .milliseconds(1)
            } == .init(until: start + .milliseconds(1), noStore: true))
        #expect(
            grant(.managed) {
                $0.tenantReader = true
                $0.shownUntil = start
            } == nil)
        #expect(grant(.managed) { $0.reference = .init(expiresAt: nil) } == nil, "without the scope")
        #expect(
            MediaRules.grant(
                rights { $0.signedUntil = start + .seconds(1) }, mode: .managed, expiresAt: start, now: start) == nil)
    }

    @Test func leasesEndWithWhatTheyLease() {
        func lease(_ until: Int64?, _ object: Int64?) -> Int64 {
            MediaRules.leaseMs(
                until: until.map { start + .milliseconds($0) },
                objectExpiresAt: object.map { start + .milliseconds($0) },
                now: start, maxLeaseMs: 60_000)
        }
        #expect(lease(nil, nil) == 60_000)
        #expect(lease(5, nil) == 5)
        #expect(lease(50_000, 7) == 7)
        #expect(lease(-3, 7) == 0)
        #expect(lease(90_000, 80_000) == 60_000)
    }

    @Test func bucketsEndWithTheHourOfTheExpiry() {
        let hour = WallTime(milliseconds: 3_600_000 * 100)
        #expect(MediaRules.bucketHour(hour) == 100)
        #expect(MediaRules.bucketHour(hour + .milliseconds(1)) == 101)
        #expect(MediaRules.bucketEnd(hour: MediaRules.bucketHour(hour + .milliseconds(1))) == hour + .seconds(3600))
        #expect(MediaRules.bucketHour(nil) == 0)
    }
}

@Suite struct SessionTableTests {
    @Test func theSameDeviceAgainReplacesTheOlderSession() throws {
        var table = SessionTable<Int>()
        let first = SessionID(link: 1, session: 7)
        let second = SessionID(link: 2, session: 7)
        #expect(table.open(first, device: try device("bob/phone"), 1) == nil)
        #expect(table.open(SessionID(link: 1, session: 8), device: try device("bob/desk"), 2) == nil)
        #expect(table.open(second, device: try device("bob/phone"), 3) == first)
        #expect(table[first] == nil && table[second] == 3)
        #expect(table.sessions(of: try user("bob")).count == 2)
        table.close(first)
        #expect(table.session(of: try device("bob/phone")) == second, "the end of the older one does not end the newer")
        #expect(Set(table.close(link: 1)) == [SessionID(link: 1, session: 8)])
        #expect(table.count == 1)
        table.close(second)
        #expect(table.sessions(of: try user("bob")).isEmpty)
    }
}
