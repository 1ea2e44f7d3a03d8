import Base
import Testing

@testable import RouterEngine

@Suite struct DeviceRegistrationTests {
    private func record(_ device: String, last: UInt64 = 10, acknowledged: UInt64 = 4) -> DeviceRegistration.Record {
        DeviceRegistration.Record(
            device: device, lastSequence: last, acknowledged: acknowledged, resumeTokenHashes: [[1, 2], [3, 4]],
            resumeTokenTime: start)
    }

    @Test func theFirstDeviceTakesOverWhatWaited() throws {
        let outcome = try DeviceRegistration().connect(
            device("bob/phone"), records: [record("", last: 7, acknowledged: 0)], resume: nil, now: start)
        #expect(
            outcome == .init(change: .takeOverWaiting, resumed: false, acknowledged: 0, position: 0, lastSequence: 7))
    }

    @Test func aNinthDeviceIsRefusedAndAnEighthIsNot() throws {
        let seven = (0..<7).map { record("d\($0)") }
        let registration = DeviceRegistration()
        #expect(
            try registration.connect(device("bob/new"), records: seven, resume: nil, now: start).change == .register)
        #expect(throws: RouterError.tooManyDevices(allowed: 8)) {
            try registration.connect(device("bob/new"), records: seven + [record("d7")], resume: nil, now: start)
        }
        #expect(
            try registration.connect(device("bob/d7"), records: seven + [record("d7")], resume: nil, now: start).change
                == .none)
    }

    @Test func aResumePointCountsWithEitherOfTheLastTwoTokens() throws {
        let registration = DeviceRegistration()
        func resume(_ hash: [UInt8], _ sequence: UInt64, at now: WallTime = start) throws -> (Bool, UInt64) {
            let outcome = try registration.connect(
                device("bob/phone"), records: [record("phone")], resume: (hash, sequence), now: now)
            #expect(outcome.acknowledged == 4, "a resume point acknowledges nothing")
            return (outcome.resumed, outcome.position)
        }
        #expect(try resume([1, 2], 8) == (true, 8))
        #expect(try resume([3, 4], 8) == (true, 8))
        #expect(try resume([1, 2], 2) == (true, 4), "what was acknowledged stays so")
        #expect(try resume([1, 2], 10) == (true, 10))
        #expect(try resume([1, 2], 11) == (false, 4), "nobody holds what was never assigned")
        #expect(try resume([9, 9], 8) == (false, 4))
        #expect(try resume([1, 2], 8, at: start + .seconds(7 * 86_400)) == (false, 4))
    }
}
