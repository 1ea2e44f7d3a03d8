import Testing

@testable import MediaEngine

@Suite struct FetchDecisionTests {
    static func decide(_ fields: FetchDecision.Fields, isGet: Bool = true) -> FetchDecision {
        FetchDecision(fields, isGet: isGet, tag: EntityTag("abc"), length: 100)
    }

    static let noneMatch: [(String, FetchDecision)] = [
        ("\"abc\"", .notModified), ("W/\"abc\"", .notModified), ("*", .notModified), ("\"x\", \"abc\"", .notModified),
        ("\"a,b\", \"abc\"", .notModified), ("\"x\"", .whole), ("abc", .whole), ("\"abc", .whole), ("", .whole),
        ("* , \"abc\"", .whole),
    ]

    @Test(arguments: noneMatch)
    func ifNoneMatch(field: String, expected: FetchDecision) {
        #expect(Self.decide(.init(ifNoneMatch: field)) == expected)
        #expect(Self.decide(.init(ifNoneMatch: field), isGet: false) == expected)
    }

    static let match: [(String, FetchDecision)] = [
        ("\"abc\"", .whole), ("*", .whole), ("W/\"abc\"", .preconditionFailed), ("\"x\"", .preconditionFailed),
    ]

    @Test(arguments: match)
    func ifMatch(field: String, expected: FetchDecision) {
        #expect(Self.decide(.init(ifMatch: field)) == expected)
    }

    static let rangeConditions: [(String, FetchDecision)] = [
        ("\"abc\"", .partial([0..<10])), ("W/\"abc\"", .whole), ("\"x\"", .whole),
        ("Sat, 29 Oct 1994 19:43:31 GMT", .whole), ("*", .whole),
    ]

    @Test(arguments: rangeConditions)
    func ifRange(field: String, expected: FetchDecision) {
        #expect(Self.decide(.init(range: "bytes=0-9", ifRange: field)) == expected)
    }

    @Test func conditionsComeBeforeRanges() {
        #expect(Self.decide(.init(ifNoneMatch: "\"abc\"", range: "bytes=200-")) == .notModified)
        #expect(Self.decide(.init(range: "bytes=200-")) == .unsatisfiable)
        #expect(Self.decide(.init(range: "bytes=200-", ifRange: "\"x\"")) == .whole)
    }

    @Test func rangeIsForGetAlone() {
        #expect(Self.decide(.init(range: "bytes=0-9"), isGet: false) == .whole)
    }
}
