package import Base
import Crypto
import HTTP
import HTTPCodec
import JSONCodec
package import RelayEngine
package import Runtime
import STUN
import Synchronization

/// Asks the operator's own server about users by HTTP: one POST for each user that is not known, whose body is signed.
///
/// An answer is 200 with `{"user","tenant"?,"password","ttl_s"?}`, or 403 or 404 where there is no such user; everything else counts as
/// no answer. Redirections are not followed, and the server's addresses are judged as peers' would be, but for the networks that are
/// named. Who keeps the answers is the engine.
package final class AuthorizationHook: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// `https://` or `http://`. Default: only users of the other credentials are known.
        package var url: String?
        /// Signs what is sent: HMAC-SHA256. At least 16 bytes.
        package var secret: [UInt8] = []
        /// Authorities that the server's certificate may be of, in PEM. Default: the system's.
        package var authorityPEM: String?
        /// Where the server may be besides the Internet.
        package var allowedNetworks: [IPNetwork] = []
        /// How long an answer may take.
        package var timeoutMs = 2_000
        /// Questions at a time; users beyond them are told to try again. Clients of one source prefix (/24, /56) cause at most an
        /// eighth of them, so that made-up names keep nobody else out.
        package var maxRequests = 64
        /// The longest that an answer counts, whatever it says.
        package var maxAnswerLifeSeconds = 3_600
        /// How long it counts that there is no such user.
        package var unknownLifeSeconds = 10

        package init() {}
    }

    private struct State {
        /// Who waits for which answer: whoever asks for one that is on its way waits with the others.
        var waiting: [AuthorizationQuery: [@Sendable (AuthorizationAnswer) -> Void]] = [:]
        var waiterCount = 0
        /// Questions under way because of clients of one source prefix.
        var asking: [IPAddress: Int] = [:]
    }

    static let maxAnswerBytes = 16_384
    /// Who waits for an answer; more are told that there is none.
    static let maxWaiters = 4096
    /// One question may not take the places of the others.
    private static let maxWaitersPerQuestion = 64

    private let configuration: Configuration
    private let url: String
    private let loop: EventLoop
    private let client: HTTPClient
    private let logger: Logger
    private let metrics: AuthorizationHookMetrics
    private let state = Mutex(State())

    /// - Parameter loop: where questions are asked.
    /// - Throws: when there is no URL, or TLS cannot be set up.
    package init(configuration: Configuration, loop: EventLoop, logger: Logger, metrics: MetricsRegistry) throws {
        guard let url = configuration.url, HTTPURL(url) != nil else {
            throw EdgeError(.invalid, "the authorization hook needs a URL of http or https", side: .internal)
        }
        guard configuration.secret.count >= 16 else {
            throw EdgeError(.invalid, "the authorization hook's secret has to have at least 16 bytes", side: .internal)
        }
        self.configuration = configuration
        self.url = url
        self.loop = loop
        self.logger = logger
        self.metrics = AuthorizationHookMetrics(metrics)
        var limits = HTTPClient.Configuration()
        limits.addresses = .internet(and: configuration.allowedNetworks)
        limits.totalTimeoutMs = configuration.timeoutMs
        limits.connectTimeoutMs = configuration.timeoutMs
        limits.maxConnections = configuration.maxRequests
        limits.maxBodyBytes = Self.maxAnswerBytes
        client = HTTPClient(
            loop: loop,
            tls: try TLSContext.client(trustPEM: configuration.authorityPEM, protocols: ["http/1.1"]),
            configuration: limits)
    }

    /// Asks, unless the same is being asked already.
    ///
    /// - Parameters:
    ///   - source: of the client that is the cause.
    ///   - onAnswer: called once, on any thread; `.unavailable` at once when too many wait.
    package func ask(
        _ query: AuthorizationQuery, from source: IPAddress,
        onAnswer: @escaping @Sendable (AuthorizationAnswer) -> Void
    ) {
        let prefix = source.sourcePrefix
        enum Next { case ask, wait, refuse }
        let next = state.withLock { state -> Next in
            let isAsked = state.waiting[query] != nil
            let (total, own) = (state.waiting.count, state.asking[prefix, default: 0])
            guard state.waiterCount < Self.maxWaiters,
                state.waiting[query, default: []].count < Self.maxWaitersPerQuestion,
                isAsked || total < configuration.maxRequests && own < max(1, configuration.maxRequests / 8)
            else { return .refuse }
            if !isAsked { state.asking[prefix] = own + 1 }
            state.waiting[query, default: []].append(onAnswer)
            state.waiterCount += 1
            return isAsked ? .wait : .ask
        }
        switch next {
        case .wait: return
        case .refuse:
            metrics.count(.overloaded)
            onAnswer(.unavailable)
        case .ask:
            loop.spawn { [self] in
                let answer = await answer(to: query)
                let waiters = state.withLock { state in
                    let waiters = state.waiting.removeValue(forKey: query) ?? []
                    state.waiterCount -= waiters.count
                    let left = state.asking[prefix, default: 1] - 1
                    state.asking[prefix] = left > 0 ? left : nil
                    return waiters
                }
                for waiter in waiters { waiter(answer) }
            }
        }
    }

    private func answer(to query: AuthorizationQuery) async -> AuthorizationAnswer {
        let began = loop.now
        do {
            let response = try await client.send(request(for: query))
            let body = try await response.collect(upTo: Self.maxAnswerBytes)
            metrics.took(loop.now - began)
            return understand(response.status, body)
        } catch {
            metrics.count((error as? EdgeError)?.kind == .timeout ? .timedOut : .failed)
            logger.warning("the authorization hook has not answered", metadata: ["error": "\(error)"])
            return .unavailable
        }
    }

    private func request(for query: AuthorizationQuery) -> HTTPClientRequest {
        let seconds = WallClock.now().seconds
        let body = (["username": .string(query.username), "realm": .string(query.realm)] as JSONValue).serialized()
        let code = HMAC.sha256(key: configuration.secret, Array("\(seconds).".utf8) + body)
        return HTTPClientRequest(
            "POST", url,
            fields: [
                "Content-Type": "application/json", "Accept": "application/json",
                "Skerry-Signature": "t=\(seconds),v1=\(Hex.encode(code))",
            ], body: .bytes(body))
    }

    private func understand(_ status: Int, _ body: [UInt8]) -> AuthorizationAnswer {
        switch status {
        case 200:
            guard let json = try? JSONValue.parse(body), let text = json["password"]?.string, text.utf8.count <= 512,
                let password = OpaqueString.prepare(text), let name = json["user"]?.string,
                let tenant = json["tenant"].map({ $0.string.flatMap { Tenant($0) } }) ?? Tenant.default,
                let user = UserAddress(tenant: tenant, user: name)
            else { break }
            let longest = configuration.maxAnswerLifeSeconds
            metrics.count(.known)
            return .known(
                user, password: password, lifeSeconds: max(1, min(json["ttl_s"]?.int ?? longest, longest)))
        case 403, 404:
            metrics.count(.unknown)
            return .unknown(lifeSeconds: configuration.unknownLifeSeconds)
        default: break
        }
        metrics.count(.failed)
        logger.warning("the authorization hook's answer cannot be used", metadata: ["status": "\(status)"])
        return .unavailable
    }
}

/// What became of questions.
struct AuthorizationHookMetrics: Sendable {
    enum Outcome: String, CaseIterable { case known, unknown, failed, timedOut = "timed_out", overloaded }

    private let outcomes: [Counter]
    private let duration: Timer

    init(_ registry: MetricsRegistry) {
        outcomes = Outcome.allCases.map {
            registry.counter(
                "skerry_relay_authorization_requests_total", "Questions to the authorization hook",
                labels: ["outcome": $0.rawValue])
        }
        duration = registry.timer(
            "skerry_relay_authorization_seconds", "How long the authorization hook took to answer")
    }

    func count(_ outcome: Outcome) {
        for (index, known) in Outcome.allCases.enumerated() where known == outcome { outcomes[index].increment() }
    }

    func took(_ duration: Duration) { self.duration.record(duration) }
}
