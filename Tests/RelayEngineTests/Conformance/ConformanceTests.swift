import Testing

/// What the RFCs demand of a server, one row for each MUST: where it stands, the sentence in short, and what is done to the
/// engine and must come of it.
///
/// Not here: what the engine cannot see, which the tests of the service hold (from which address an answer comes, timers of
/// TCP, DTLS), and what is demanded of clients.
struct Requirement: CustomTestStringConvertible, Sendable {
    let section: String
    let sentence: String
    let isMet: @Sendable (ConformanceBench) throws -> Bool

    init(_ section: String, _ sentence: String, isMet: @escaping @Sendable (ConformanceBench) throws -> Bool) {
        self.section = section
        self.sentence = sentence
        self.isMet = isMet
    }

    var testDescription: String { "\(section): \(sentence)" }
}

@Suite struct ConformanceTests {
    @Test(arguments: Requirement.rfc8489)
    func rfc8489(_ requirement: Requirement) throws { try hold(requirement) }

    @Test(arguments: Requirement.rfc8489Credentials)
    func rfc8489Credentials(_ requirement: Requirement) throws { try hold(requirement) }

    @Test(arguments: Requirement.rfc8656Allocations)
    func rfc8656Allocations(_ requirement: Requirement) throws { try hold(requirement) }

    @Test(arguments: Requirement.rfc8656Relaying)
    func rfc8656Relaying(_ requirement: Requirement) throws { try hold(requirement) }

    @Test(arguments: Requirement.rfc8016)
    func rfc8016(_ requirement: Requirement) throws { try hold(requirement) }

    @Test(arguments: Requirement.rfc6062)
    func rfc6062(_ requirement: Requirement) throws { try hold(requirement) }

    private func hold(_ requirement: Requirement) throws {
        let bench = ConformanceBench()
        let isMet = try requirement.isMet(bench)
        #expect(isMet, "\(requirement.testDescription); the last answer was \(bench.lastReply)")
    }

    /// No sentence stands there twice.
    @Test func everyRowIsOne() {
        let all =
            Requirement.rfc8489 + Requirement.rfc8489Credentials + Requirement.rfc8656Allocations
            + Requirement.rfc8656Relaying + Requirement.rfc8016
            + Requirement.rfc6062
        #expect(Set(all.map(\.testDescription)).count == all.count)
        #expect(all.count >= 170)
    }
}
