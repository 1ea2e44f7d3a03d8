import Base
import Testing
import Wire

@testable import MediaEngine

@Suite struct SealingPlanTests {
    @Test func nonceIsEpochThenIndex() {
        let plan = SealingPlan(object: UUID(high: 1, low: 2), mode: .managed)
        #expect(plan.nonce(chunk: 0x0102, epoch: 0xA0B0_C0D0) == [0xA0, 0xB0, 0xC0, 0xD0, 0, 0, 0, 0, 0, 0, 1, 2])
    }

    @Test func associatedDataTellsObjectModePlaceAndEnd() {
        let object = UUID(high: 1, low: 2)
        let plan = SealingPlan(object: object, mode: .managed)
        #expect(plan.associatedData(chunk: 3, isLast: false) == object.bytes + [1, 0, 0, 0, 0, 0, 0, 0, 3, 0])
        var seen: Set<[UInt8]> = []
        let plans = [
            plan, SealingPlan(object: object, mode: .sealed),
            SealingPlan(object: UUID(high: 1, low: 3), mode: .managed),
        ]
        for plan in plans {
            for chunk in 0..<3 {
                for last in [true, false] { seen.insert(plan.associatedData(chunk: chunk, isLast: last)) }
                seen.insert(plan.tailAssociatedData(chunk: chunk, offset: Int64(chunk) * 65_536))
            }
        }
        #expect(seen.count == 27)
    }

    /// Whatever the crashes, no pair of epoch and chunk seals twice.
    @Test func noNonceRepeats() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var runs = EpochRuns()
            var durable = 0
            var sealed: Set<[UInt64]> = []
            for _ in 0..<20 {
                let reached = durable + Int.random(in: 0...4, using: &generator)
                for chunk in durable..<reached {
                    let (isNew, _) = sealed.insert([UInt64(runs.current), UInt64(chunk)])
                    #expect(isNew)
                }
                if Bool.random(using: &generator) {
                    durable = reached
                } else {
                    durable += Int.random(in: 0...(reached - durable), using: &generator)
                    let advanced = runs.advance(from: durable)
                    #expect(advanced)
                }
            }
            for chunk in 0..<durable { #expect(sealed.contains([UInt64(runs.epoch(of: chunk)), UInt64(chunk)])) }
            #expect(EpochRuns(encoded: runs.encoded) == runs)
        }
    }

    @Test func runsRefuseDisorder() {
        #expect(EpochRuns(encoded: []) == nil)
        #expect(EpochRuns(encoded: [UInt8](repeating: 0, count: 11)) == nil)
        #expect(EpochRuns(encoded: [UInt8](repeating: 0, count: 24)) == nil)
        #expect(EpochRuns(encoded: [UInt8](repeating: 255, count: 12)) == nil)
        #expect(EpochRuns(encoded: [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]) == nil)
    }
}
