import Testing

@testable import MediaEngine

@Suite struct FillPlanTests {
    @Test func readersComeFirst() {
        var plan = FillPlan(chunkCount: 200, batch: 16)
        #expect(plan.nextBatch() == 0..<16)
        plan.want(190)
        #expect(plan.nextBatch() == 190..<200)
        for chunk in 190..<200 { plan.insert(chunk) }
        #expect(plan.run(from: 190, limit: 4) == 4)
        #expect(plan.run(from: 195, limit: 40) == 5)
        #expect(plan.run(from: 0, limit: 4) == 0)
        #expect(plan.nextBatch() == 0..<16)
    }

    @Test func everyChunkIsAskedForOnce() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let count = Int.random(in: 0...300, using: &generator)
            var plan = FillPlan(chunkCount: count, batch: Int.random(in: 1...20, using: &generator))
            var fetched = 0
            while let batch = plan.nextBatch() {
                #expect(!batch.isEmpty && batch.count <= plan.batch && batch.upperBound <= count)
                for chunk in batch {
                    #expect(!plan.contains(chunk))
                    plan.insert(chunk)
                    fetched += 1
                }
                plan.want(Int.random(in: 0..<count, using: &generator))
            }
            #expect(plan.isComplete && fetched == count)
        }
    }
}
