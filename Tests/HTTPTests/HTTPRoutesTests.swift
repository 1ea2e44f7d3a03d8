import HTTPCodec
import Testing

@testable import HTTP

@Suite struct HTTPRoutesTests {
    private func table(_ patterns: [String]) -> HTTPRoutes {
        var routes = HTTPRoutes()
        for pattern in patterns { routes.on("GET", pattern) { _, _ in } }
        return routes
    }

    /// The pattern that answers, with the placeholders' values.
    private func answer(_ routes: HTTPRoutes, _ target: String, _ names: [String] = []) -> [String] {
        guard
            case .found(_, let parameters, let pattern) = routes.match(HTTPRequest(method: "GET", target: target))
        else { return [] }
        return [pattern] + names.map { parameters[$0] }
    }

    @Test(arguments: [
        ("/", "/"), ("/?x", "/"), ("/media", "/media"), ("/media?a=/b/c", "/media"), ("/media/", "/media/"),
        ("/media/recent", "/media/recent"), ("/media/recents", "/media/:id"), ("/media/rec", "/media/:id"),
        ("/media/1/grants", "/media/:id/grants"), ("http://a/media?x", "/media"), ("http://a", "/"),
        ("/files/a", "/files/*path"), ("/files/", "/files/*path"), ("/files", nil), ("/medi", nil), ("/mediaa", nil),
        ("//media", nil), ("/media//grants", nil), ("/media/1/grants/", nil), ("*", nil), ("/MEDIA", nil),
    ])
    func `a path finds the pattern that fits`(_ target: String, _ pattern: String?) {
        let routes = table([
            "/", "/media", "/media/", "/media/:id", "/media/recent", "/media/:id/grants", "/files/*path",
        ])
        #expect(answer(routes, target).first == pattern)
    }

    @Test func `placeholders are decoded`() {
        let routes = table(["/s/:credential/media/:id", "/files/*path"])
        #expect(
            answer(routes, "/s/a%20b/media/%E2%82%AC?q", ["credential", "id"])
                == ["/s/:credential/media/:id", "a b", "€"])
        #expect(answer(routes, "/files/a/b%25/c", ["path"]) == ["/files/*path", "a/b%/c"])
    }

    @Test(arguments: ["%2F", "a%2fb", "%00", "%2e", "..", ".", "%2E%2e", "%", "%zz", "%ff", ""])
    func `a segment that could be met as another path is no value`(_ segment: String) {
        let routes = table(["/one/:name", "/all/*rest"])
        #expect(answer(routes, "/one/\(segment)") == [])
        #expect(segment.isEmpty || answer(routes, "/all/x/\(segment)/y") == [])
    }

    @Test func `an unknown method is told which are known`() {
        var routes = table(["/a/:b"])
        routes.on("PUT", "/a/c") { _, _ in }
        for (target, expected) in [("/a/c", ["PUT", "GET", "HEAD"]), ("/a/d", ["GET", "HEAD"])] {
            guard case .methodNotAllowed(let allowed) = routes.match(HTTPRequest(method: "POST", target: target)) else {
                Issue.record("\(target) was answered otherwise")
                continue
            }
            #expect(allowed == expected)
        }
        guard case .found(_, _, "/a/:b") = routes.match(HTTPRequest(method: "HEAD", target: "/a/c")) else {
            Issue.record("HEAD falls to GET")
            return
        }
    }
}
