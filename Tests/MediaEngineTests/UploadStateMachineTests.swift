import Base
import Crypto
import Testing

@testable import MediaEngine

@Suite struct UploadStateMachineTests {
    static func digest(_ byte: UInt8) throws -> MediaID { try #require(MediaID(bytes: Digest.sha256([byte]))) }

    @Test func uploadInTwoRequestsFinishesOnce() throws {
        let digest = try Self.digest(1)
        var machine = UploadStateMachine(length: 10)
        let first = machine.open()
        #expect(machine.startAppend(first, at: 0, contentLength: 4) == .append(limit: 10))
        #expect(machine.receive(first, count: 4) == .take(4))
        #expect(machine.durableOffset == 0)
        #expect(machine.checkpoint(durable: 4) == .none)
        let second = machine.open()
        #expect(machine.startAppend(second, at: 4, contentLength: nil) == .append(limit: 6))
        #expect(machine.receive(second, count: 6) == .take(6))
        #expect(machine.checkpoint(durable: 10) == .verify)
        #expect(machine.checkpoint(durable: 10) == .none)
        #expect(machine.hashed(digest, declared: digest) == .persist(digest))
        #expect(machine.persisted(digest) == .register(digest))
        #expect(machine.registered(isOurs: true) == .keepObject)
        #expect(machine.registered(isOurs: true) == .none)
        let third = machine.open()
        #expect(machine.startAppend(third, at: 10, contentLength: 0) == .alreadyComplete)
        #expect(machine.startAppend(third, at: 4, contentLength: 0) == .offsetMismatch(expected: 10))
        #expect(machine.end(.terminated) == .forget)
    }

    @Test func newerRequestEndsTheOlder() {
        var machine = UploadStateMachine(length: 10)
        let old = machine.open()
        #expect(machine.receive(old, count: 3) == .take(3))
        let new = machine.open()
        #expect(machine.receive(old, count: 3) == .superseded)
        #expect(machine.checkpoint(durable: 3) == .none)
        #expect(machine.startAppend(old, at: 3, contentLength: nil) == .superseded)
        #expect(machine.startAppend(new, at: 3, contentLength: nil) == .append(limit: 7))
    }

    @Test func bytesPastTheLengthAreNotTaken() {
        var machine = UploadStateMachine(length: 10)
        let lease = machine.open()
        #expect(machine.startAppend(lease, at: 0, contentLength: 11) == .tooLong(limit: 10))
        #expect(machine.receive(lease, count: 12) == .overflow(take: 10))
        #expect(machine.checkpoint(durable: 10) == .verify)
    }

    @Test func wrongDigestEndsTheUpload() throws {
        let (actual, declared) = (try Self.digest(1), try Self.digest(2))
        var machine = UploadStateMachine(length: 0)
        #expect(machine.checkpoint(durable: 0) == .verify)
        #expect(machine.hashed(actual, declared: declared) == .delete)
        let next = machine.open()
        #expect(machine.startAppend(next, at: 0, contentLength: 0) == .ended(.digestMismatch(actual: actual)))
    }

    @Test func duplicateContentDropsOurObject() throws {
        let digest = try Self.digest(1)
        var machine = UploadStateMachine(length: 5, durableOffset: 5, phase: .verified(digest))
        #expect(machine.resume() == .register(digest))
        #expect(machine.registered(isOurs: false) == .dropObject)
        #expect(machine.phase == .registered(digest))
    }

    @Test func terminationVoidsEveryRequest() {
        var machine = UploadStateMachine(length: 5)
        let lease = machine.open()
        #expect(machine.end(.terminated) == .delete)
        #expect(machine.end(.terminated) == .none)
        #expect(machine.receive(lease, count: 1) == .superseded)
        #expect(machine.startAppend(lease, at: 0, contentLength: 1) == .ended(.terminated))
    }

    @Test func crashBetweenAnyTwoStepsGoesOn() throws {
        #expect(UploadStateMachine(length: 5, durableOffset: 3, phase: .receiving).resume() == .none)
        #expect(UploadStateMachine(length: 5, durableOffset: 5, phase: .receiving).resume() == .verify)
        #expect(UploadStateMachine(length: 0, durableOffset: 0, phase: .receiving).resume() == .verify)
        let registered = UploadStateMachine.Phase.registered(try Self.digest(1))
        #expect(UploadStateMachine(length: 5, durableOffset: 5, phase: registered).resume() == .none)
    }

    /// Random requests, takeovers and crashes: the durable offset never goes back, never passes what was
    /// received, and verification starts at most once between two crashes.
    @Test func offsetsNeverLie() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let length = Int64.random(in: 0...50, using: &generator)
            var machine = UploadStateMachine(length: length)
            var leases = [machine.open()]
            var durable: Int64 = 0
            var verifications = 0
            for _ in 0..<60 {
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: leases.append(machine.open())
                case 1:
                    let lease = leases[Int.random(in: 0..<leases.count, using: &generator)]
                    let before = machine.receivedOffset
                    switch machine.receive(lease, count: Int.random(in: 0...20, using: &generator)) {
                    case .take(let count), .overflow(let count):
                        #expect(lease == leases.last)
                        #expect(machine.receivedOffset == before + Int64(count))
                    case .superseded: #expect(lease != leases.last || machine.phase != .receiving)
                    }
                case 2:
                    let to = Int64.random(in: machine.durableOffset...machine.receivedOffset, using: &generator)
                    if machine.checkpoint(durable: to) == .verify { verifications += 1 }
                default:
                    machine = UploadStateMachine(
                        length: length, durableOffset: machine.durableOffset, phase: machine.phase)
                    leases = [machine.open()]
                }
                #expect(machine.durableOffset >= durable && machine.receivedOffset >= machine.durableOffset)
                #expect(machine.receivedOffset <= length)
                durable = machine.durableOffset
            }
            #expect(verifications <= 1)
        }
    }
}
