import Base
import Testing

@testable import RelayEngine

@Suite struct RevocationTests {
    private let alice = UserAddress(tenant: .default, user: "alice")!

    @Test func whatWasMadeBeforeIsCovered() {
        var revocations = CredentialRevocations(maxCount: 4)
        revocations.insert(Revocation(.user(alice), madeBefore: WallTime(seconds: 100)))
        #expect(revocations.covers(alice, madeAt: WallTime(seconds: 99)))
        #expect(!revocations.covers(alice, madeAt: WallTime(seconds: 100)))
        let other = UserAddress(tenant: Tenant("other")!, user: "alice")!
        #expect(!revocations.covers(other, madeAt: WallTime(seconds: 1)))
        revocations.insert(Revocation(.tenant(other.tenant), madeBefore: WallTime(seconds: 50)))
        #expect(revocations.covers(other, madeAt: WallTime(seconds: 1)))
        // An earlier one does not give back what a later one took.
        revocations.insert(Revocation(.user(alice), madeBefore: WallTime(seconds: 10)))
        #expect(revocations.covers(alice, madeAt: WallTime(seconds: 99)))
    }

    @Test func theyAreBounded() {
        var revocations = CredentialRevocations(maxCount: 4)
        for index in 1...100 {
            let user = UserAddress(tenant: .default, user: "user\(index)")!
            revocations.insert(Revocation(.user(user), madeBefore: WallTime(seconds: Int64(index))))
        }
        #expect(revocations.count == 4)
        #expect(revocations.covers(UserAddress(tenant: .default, user: "user100")!, madeAt: WallTime(seconds: 1)))
        #expect(!revocations.covers(UserAddress(tenant: .default, user: "user1")!, madeAt: WallTime(seconds: 0)))
    }
}
