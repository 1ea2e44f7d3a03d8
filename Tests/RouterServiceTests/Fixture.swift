import Base
import Crypto
import Glibc
import RouterService
import Runtime
import Synchronization
import Testing
import Tokens
import UplinkService
import Wire

/// A clock that the test moves.
final class TestClock: Sendable {
    private let time = Mutex(WallTime(milliseconds: 1_700_000_000_000))

    var now: WallTime { time.withLock { $0 } }

    func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }
}

/// A central over a folder of its own, which a test can stop and start again.
final class Central {
    let clock = TestClock()
    let folder: String
    var configuration = RouterService.Configuration()
    private(set) var service: RouterService
    private let loops: EventLoopGroup
    private let usesWallClock: Bool
    private static let secret = randomBytes(32)
    private static let linkIDs = Atomic<UInt64>(0)
    static let pathKey = SignedPathKey(id: "k1", tenant: .default, secret: Array(secret.reversed()), maxBytes: 0)

    init(usesWallClock: Bool = false, _ configure: (inout RouterService.Configuration) -> Void = { _ in }) throws {
        self.usesWallClock = usesWallClock
        folder = "/tmp/skerry-router-\(UUID.v7(at: WallClock.now()))"
        try FileSystem.makeDirectory(folder)
        configuration.databasePath = folder + "/central.db"
        configuration.rootKeyPath = folder + "/root.key"
        configuration.createsRootKey = true
        configure(&configuration)
        loops = try EventLoopGroup(count: 1)
        service = try Self.make(configuration, loops.loops[0], usesWallClock ? nil : clock)
        service.start()
    }

    deinit {
        service.stop()
        loops.shutdown()
        for name in (try? FileSystem.names(in: folder)) ?? [] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    private static func make(
        _ configuration: RouterService.Configuration, _ loop: EventLoop, _ clock: TestClock?
    ) throws -> RouterService {
        let verifier = TokenVerifier(
            keys: [TokenKey(id: "t", key: try VerificationKey(secret: secret))], issuer: nil)
        let pathKeys = [try #require(pathKey)]
        let logger = Logger(label: "test", level: .error, sink: StandardErrorLogSink())
        let now: @Sendable () -> WallTime
        if let clock { now = { clock.now } } else { now = { WallClock.now() } }
        return try RouterService(
            configuration: configuration, loop: loop, verifier: verifier, signedPathKeys: pathKeys, logger: logger,
            metrics: MetricsRegistry(), now: now)
    }

    /// Ends the process, as far as its state on the disk is concerned, and starts another.
    func restart() throws {
        service.stop()
        service = try Self.make(configuration, loops.loops[0], usesWallClock ? nil : clock)
        service.start()
    }

    func advance(by duration: Duration) {
        clock.advance(by: duration)
        service.checkDeadlines()
    }

    func edge(_ name: String, region: String = "north") throws -> Edge {
        Edge(
            service, try #require(NodeIdentity(cluster: "test", region: region, name: name)),
            id: Self.linkIDs.add(1, ordering: .relaxed).newValue)
    }

    func token(
        _ device: String, tenant: String = "default",
        scopes: [String] = ["connect", "calls", "status", "media:read", "media:write"],
        life: Duration = .seconds(3600)
    ) throws -> String {
        let parts = device.split(separator: "/")
        let tenant = try #require(Tenant(tenant))
        let owner = try #require(UserAddress(tenant: tenant, user: parts[0]))
        let address = try #require(DeviceAddress(owner: owner, device: parts[1]))
        return TokenMint(keyID: "t", key: try SigningKey(secret: Self.secret), issuer: nil).mint(
            for: address, scopes: scopes,
            now: usesWallClock ? WallClock.now() : clock.now, life: life)
    }
}

/// A device's session on an edge.
struct Client: Sendable {
    let edge: Edge
    let session: UInt64
    let opened: SessionOpened

    func send(_ frame: ClientFrame) async {
        await edge.service.handle(.sessionFrame(session: session, frame), from: edge.link)
    }

    /// The first frame for which `match` has a value, from the beginning of the session; waits for it.
    func first<Value: Sendable>(_ match: @escaping @Sendable (ServerFrame) -> Value?) async -> Value {
        await edge.wait { notices in notices.lazy.compactMap(frame).compactMap(match).first }
    }

    func frames() -> [ServerFrame] { edge.notices.compactMap(frame) }

    private func frame(_ notice: CentralNotice) -> ServerFrame? {
        if case .sessionFrame(session, let frame) = notice { frame } else { nil }
    }

    func accepted(_ id: UUID) async -> ServerFrame.Accepted {
        await first { if case .accepted(let accepted) = $0, accepted.id == id { accepted } else { nil } }
    }

    func refused(_ id: UUID) async -> FrameErrorCode {
        await first { if case .error(let error) = $0, error.reference == id { error.code } else { nil } }
    }

    func delivered(_ sequence: UInt64) async -> ServerFrame.Deliver {
        await first { if case .deliver(let deliver) = $0, deliver.sequence == sequence { deliver } else { nil } }
    }

    func drained() async { _ = await first { $0 == .drained ? true : nil } }

    var deliveries: [UInt64] {
        frames().compactMap { if case .deliver(let deliver) = $0 { deliver.sequence } else { nil } }
    }

    /// Waits for the end of the session.
    func closed() async -> UInt16 {
        await edge.wait { notices in
            notices.lazy.compactMap { notice -> UInt16? in
                if case .sessionClose(let close) = notice, close.session == session { close.code } else { nil }
            }.first
        }
    }
}

/// The other end of a link: collects what the central sends.
final class Edge: Sendable {
    typealias Waiter = (check: @Sendable ([CentralNotice]) -> Bool, continuation: CheckedContinuation<Void, Never>)

    final class Mailbox: Sendable {
        let state = Mutex<(notices: [CentralNotice], waiters: [Waiter])>(([], []))

        func take(_ notice: CentralNotice) -> Bool {
            let ready = state.withLock { state in
                state.notices.append(notice)
                let ready = state.waiters.filter { $0.check(state.notices) }
                state.waiters.removeAll { waiter in waiter.check(state.notices) }
                return ready
            }
            for waiter in ready { waiter.continuation.resume() }
            return true
        }
    }

    let service: RouterService
    let link: UplinkLink
    private let mailbox = Mailbox()
    private let sessions = Atomic<UInt64>(0)

    init(_ service: RouterService, _ identity: NodeIdentity, id: UInt64) {
        self.service = service
        let mailbox = mailbox
        link = UplinkLink(
            id: id, identity: identity,
            hello: UplinkHello(
                versions: [1], node: identity.name, region: identity.region, siblingAddress: "\(identity.name):8480",
                build: "test"),
            deliver: { mailbox.take($0) }, end: {})
        service.linkIsUp(link)
    }

    var notices: [CentralNotice] { mailbox.state.withLock { $0.notices } }

    func wait<Value: Sendable>(_ find: @escaping @Sendable ([CentralNotice]) -> Value?) async -> Value {
        while true {
            if let value = find(notices) { return value }
            await withCheckedContinuation { continuation in
                let isThere = mailbox.state.withLock { state in
                    if find(state.notices) != nil { return true }
                    state.waiters.append((check: { find($0) != nil }, continuation: continuation))
                    return false
                }
                if isThere { continuation.resume() }
            }
        }
    }

    func purged(_ object: UUID) async {
        _ = await wait { notices in
            notices.contains { if case .mediaPurge(let objects) = $0 { objects.contains(object) } else { false } }
                ? true : nil
        }
    }

    func connect(_ token: String, resume: ResumePoint? = nil) async throws -> Client {
        let session = sessions.add(1, ordering: .relaxed).newValue
        let request = UplinkRequest.sessionOpen(SessionOpen(session: session, token: token, resume: resume))
        guard case .sessionOpened(let opened) = try await ask(request) else { throw EdgeError(.corrupt, "no session") }
        return Client(edge: self, session: session, opened: opened)
    }

    /// - Throws: `EdgeError` of what the central refused.
    func ask(_ request: UplinkRequest) async throws -> UplinkResponse {
        let response = await service.handle(request, from: link)
        if case .failed(let failure) = response { throw EdgeError(failure.kind, failure.message) }
        return response
    }

    func goDown() { service.linkIsDown(link) }
}

func id(_ number: UInt64) -> UUID { UUID(high: 0xABC, low: number) }

func message(_ number: UInt64, to: PeerAddress, _ messageClass: MessageClass = .message, expiresInSeconds: Int64? = nil)
    -> ClientFrame
{
    .send(
        .init(
            id: id(number), to: to, messageClass: messageClass, payload: Array("m\(number)".utf8),
            expiresInSeconds: expiresInSeconds))
}

/// What an operation was refused for.
func refusal(_ body: () async throws -> Void) async -> EdgeError.Kind? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? EdgeError)?.kind
    }
}
