import Glibc
import Testing

@testable import Deployment

@Suite struct DescriptorLimitTests {
    @Test func isRaisedAsFarAsItMayBe() throws {
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var before = rlimit()
        try #require(getrlimit(kind, &before) == 0)
        let most = min(before.rlim_max, 1 << 20)
        var lower = rlimit(rlim_cur: most - 1, rlim_max: before.rlim_max)
        try #require(setrlimit(kind, &lower) == 0)
        #expect(DescriptorLimit.raise() == Int(most))
        var after = rlimit()
        #expect(getrlimit(kind, &after) == 0 && after.rlim_cur == most)
    }
}
