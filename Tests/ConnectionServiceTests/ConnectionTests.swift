import Base
import HTTP
import HTTPCodec
import JSONCodec
import Runtime
import Synchronization
import Testing
import UplinkService
import Wire

@testable import ConnectionService

@Suite(.timeLimit(.minutes(1))) struct ConnectionTests {
    private func id(_ number: UInt64) -> UUID { UUID(high: 1, low: number) }
    private func message(_ number: UInt64, payload: [UInt8] = [1]) -> ClientFrame {
        .send(.init(id: id(number), to: .user("bob"), messageClass: .message, payload: payload))
    }
    private func accepted(_ number: UInt64) -> ServerFrame {
        .accepted(.init(id: id(number), time: WallTime(milliseconds: 7)))
    }
    private func delivery(_ sequence: UInt64) -> ServerFrame {
        .deliver(
            .init(
                sequence: sequence, id: id(sequence), from: .device(user: "bob", device: "pad"), to: .user("alice"),
                messageClass: .message, time: WallTime(milliseconds: 9), payload: [UInt8(truncatingIfNeeded: sequence)])
        )
    }

    // MARK: Handshake

    @Test func handshakesWithoutAGoodTokenAreRefused() async throws {
        let edge = try TestEdge()
        for (token, status) in [(nil, 401), ("x.y.z", 401), (edge.token(scopes: ["calls"]), 403)] as [(String?, Int)] {
            await #expect {
                _ = try await edge.socket(token: token)
            } throws: { error in
                (error as? WebSocketRefusal)?.status == status
            }
        }
        await #expect {
            _ = try await edge.socket(token: edge.token(), subprotocols: ["other"])
        } throws: { error in
            (error as? WebSocketRefusal)?.status == 400
        }
        let (response, problem) = try await edge.request("GET", "/connect", token: edge.token())
        #expect(response.status == 400 || response.status == 426)
        #expect(problem["detail"]?.string != nil)
    }

    @Test func aNodeWithoutCentralOrRoomSaysTryLater() async throws {
        let edge = try TestEdge { $0.maxConnections = 1 }
        let first = try await edge.welcomed()
        await #expect {
            _ = try await edge.socket(token: edge.token())
        } throws: { error in
            (error as? WebSocketRefusal)?.status == 503 && (error as? WebSocketRefusal)?.fields["Retry-After"] != nil
        }
        await first.socket.close()
        try await until { edge.uplink.closes.count == 1 }
        #expect(edge.uplink.closes.first?.code == 1000)
        edge.uplink.connect(false)
        await #expect {
            _ = try await edge.socket(token: edge.token())
        } throws: { error in
            (error as? WebSocketRefusal)?.status == 503
        }
    }

    @Test func aTicketOpensOneConnection() async throws {
        let edge = try TestEdge()
        let (response, answer) = try await edge.request("POST", "/connect/tickets", token: edge.token())
        #expect(response.status == 200 && answer["expires_in_s"] == 30)
        let ticket = try #require(answer["ticket"]?.string)
        let socket = try await edge.socket(token: nil, query: "?ticket=\(ticket)")
        try await socket.send(.hello(.init()))
        #expect(try await socket.next() != nil)
        for query in ["?ticket=\(ticket)", "?ticket=x", "?ticket="] {
            await #expect {
                _ = try await edge.socket(token: nil, query: query)
            } throws: { error in
                (error as? WebSocketRefusal)?.status == 401
            }
        }
        #expect(try await edge.request("POST", "/connect/tickets", token: nil).0.status == 401)
    }

    @Test func theRelaysCredentialsNeedTheScope() async throws {
        let edge = try TestEdge()
        let (_, answer) = try await edge.request("GET", "/calls/ice-servers", token: edge.token())
        #expect(answer["iceServers"]?[0]?["username"] == "1:default:alice" && answer["ttl_s"] == 60)
        #expect(
            try await edge.request("GET", "/calls/ice-servers", token: edge.token(scopes: ["connect"])).0.status == 403)
        #expect(try await edge.request("GET", "/calls/ice-servers", token: nil).0.status == 401)
    }

    // MARK: Frames

    @Test func framesGoUpAndComeDownInOrder() async throws {
        let edge = try TestEdge()
        let socket = try await edge.welcomed(resume: ResumePoint(token: "other", sequence: 5))
        #expect(edge.uplink.opens.first?.resume == ResumePoint(token: "other", sequence: 5))
        #expect(edge.uplink.opens.first?.client == "test/1")
        for number in 1...50 as ClosedRange<UInt64> { try await socket.send(message(number)) }
        try await socket.send(.ack(sequence: 3))
        try await until { edge.uplink.frames.count == 51 }
        #expect(edge.uplink.frames == (1...50).map { message($0) } + [.ack(sequence: 3)])
        let down: [ServerFrame] = (1...50).map { accepted($0) } + (1...50).map { delivery($0) } + [.drained]
        for frame in down { edge.uplink.deliver(frame) }
        for frame in down { #expect(try await socket.next() == frame) }
    }

    @Test func whatIsNoFrameEndsTheConnectionAndABadFrameIsAnswered() async throws {
        let edge = try TestEdge()
        let socket = try await edge.welcomed()
        try await socket.socket.send(text: #"{"type":"send","id":"\#(id(9))","to":"bob","class":"message"}"#)
        #expect(
            try await socket.next()
                == .error(.init(reference: id(9), code: .invalid, message: "the field payload is missing")))
        try await socket.socket.send(text: #"{"type":"group.create","id":"\#(id(9))"}"#)
        guard case .error(let failure) = try await socket.next() else { return #expect(Bool(false)) }
        #expect(failure.code == .invalid && failure.message.contains("allowed: hello, send"))
        try await socket.send(message(1))
        try await until { edge.uplink.frames == [message(1)] }
        try await socket.socket.send(text: "{")
        #expect(try await socket.closed().code == 4400)
        let binary = try await edge.welcomed()
        try await binary.socket.send(binary: [1, 2])
        #expect(try await binary.closed().code == 4400)
        let twice = try await edge.welcomed()
        try await twice.send(.hello(.init()))
        #expect(try await twice.closed().code == 4400)
        let early = try await edge.socket(token: edge.token())
        try await early.send(message(1))
        #expect(try await early.closed().code == 4400)
    }

    @Test func limitsHaveTheirCloseCodes() async throws {
        let impatient = try TestEdge { $0.helloTimeoutMs = 100 }
        let silent = try await impatient.socket(token: impatient.token())
        #expect(try await silent.closed().code == 4400)
        let edge = try TestEdge {
            $0.maxFramesPerSecond = 1
            $0.maxFrameBurst = 20
        }
        let hasty = try await edge.welcomed()
        for number in 1...30 as ClosedRange<UInt64> { try? await hasty.send(message(number)) }
        #expect(try await hasty.closed().code == 4429)
        let large = try await edge.welcomed()
        try? await large.socket.send(text: String(repeating: "x", count: WireLimits.maxClientTextFrameBytes + 1))
        #expect(try await large.closed().code == 4413)
        let brief = try await edge.socket(token: edge.token())
        try await brief.send(.hello(.init()))
        edge.uplink.tell(
            .notice(.sessionClose(SessionClose(session: edge.uplink.lastSession, code: 4409, reason: "x"))))
    }

    @Test func aClientThatDoesNotReadIsClosed() async throws {
        let edge = try TestEdge()
        let socket = try await edge.welcomed()
        let large = ServerFrame.call(
            .init(call: id(1), event: .offer, from: .user("bob"), data: [UInt8](repeating: 1, count: 200_000)))
        // Nobody receives: the kernel's buffers fill, then the node's.
        for _ in 0..<60 { edge.uplink.deliver(large) }
        try await until { edge.uplink.closes.contains { $0.code == 4408 } }
        _ = socket
    }

    @Test func theCentralClosesSessionsWithItsCode() async throws {
        let edge = try TestEdge()
        let socket = try await edge.welcomed()
        edge.uplink.tell(
            .notice(
                .sessionClose(SessionClose(session: edge.uplink.lastSession, code: 4409, reason: "connected again"))))
        let closed = try await socket.closed()
        #expect(closed.code == 4409 && closed.reason == "connected again")
        // It knows already.
        #expect(edge.uplink.closes.isEmpty)
    }

    @Test func refusedSessionsClose() async throws {
        for (kind, code) in [(.unauthenticated, 4401), (.exhausted, 1013)] as [(EdgeError.Kind, UInt16)] {
            let edge = try TestEdge(ScriptedUplink { _ in throw EdgeError(kind, "no") })
            let socket = try await edge.socket(token: edge.token())
            try await socket.send(.hello(.init()))
            #expect(try await socket.closed().code == code)
        }
    }

    // MARK: Tokens

    @Test func aTokenThatExpiresClosesUnlessRefreshed() async throws {
        // The first ends at once; the second leaves a busy machine time for the refresh.
        let lives = Mutex<[Int]>([300, 4000])
        let uplink = ScriptedUplink { open in
            var opened = ScriptedUplink.opened(open)
            opened.tokenExpiresAt = WallClock.now() + .milliseconds(lives.withLock { $0.removeFirst() })
            return opened
        }
        let edge = try TestEdge(uplink)
        let lapsing = try await edge.welcomed()
        #expect(try await lapsing.closed().code == 4401)

        let refreshed = try await edge.welcomed()
        let newer = edge.token()
        try await refreshed.send(.refresh(token: newer))
        try await until { uplink.frames.contains(.refresh(token: newer)) }
        let welcome = ServerFrame.Welcome(
            device: .device(user: "alice", device: "phone"), resumeToken: "resume-1", resumed: true, credit: 16,
            serverTime: WallClock.now())
        uplink.deliver(.welcome(welcome))
        #expect(try await refreshed.next() == .welcome(welcome))
        // Past the end that the session had before.
        try await Task.sleep(for: .milliseconds(4500))
        uplink.deliver(accepted(1))
        #expect(try await refreshed.next() == accepted(1))

        let bobs = try #require(
            UserAddress(tenant: .default, user: "bob").flatMap { DeviceAddress(owner: $0, device: "x") })
        for token in ["nonsense", edge.token(device: bobs)] {
            try await refreshed.send(.refresh(token: token))
            guard case .error(let failure) = try await refreshed.next() else { return #expect(Bool(false)) }
            #expect(failure.code == .forbidden)
        }
    }

    // MARK: The uplink goes and comes

    @Test func socketsOutliveTheUplinkWithoutLossOrDuplicates() async throws {
        let edge = try TestEdge()
        let socket = try await edge.welcomed()
        try await socket.send(message(1))
        try await socket.send(message(2))
        try await until { edge.uplink.frames.count == 2 }
        edge.uplink.deliver(accepted(1))
        for sequence in 1...3 as ClosedRange<UInt64> { edge.uplink.deliver(delivery(sequence)) }
        edge.uplink.deliver(.drained)
        for _ in 0..<5 { _ = try await socket.next() }
        let before = edge.uplink.lastSession
        edge.uplink.connect(false)
        let held = edge.service.node.budget.count
        try await socket.send(.ack(sequence: 2))
        try await socket.send(.ack(sequence: 3))
        try await socket.send(message(3))
        try await until { edge.service.node.budget.count > held }
        edge.uplink.state.withLock { $0.notices = [] }
        edge.uplink.connect(true)
        try await until { edge.uplink.frames.count == 3 }
        #expect(edge.uplink.lastSession != before)
        #expect(edge.uplink.opens.last?.resume == ResumePoint(token: "resume-1", sequence: 3))
        // The highest ack, then what has no answer, in its order.
        #expect(edge.uplink.frames == [.ack(sequence: 3), message(2), message(3)])
        // What comes for the older session, or a second time, does not reach the client.
        edge.uplink.tell(.notice(.sessionFrame(session: before, delivery(9))))
        for sequence in 2...4 as ClosedRange<UInt64> { edge.uplink.deliver(delivery(sequence)) }
        edge.uplink.deliver(.drained)
        edge.uplink.deliver(delivery(0))
        edge.uplink.deliver(accepted(2))
        #expect(try await socket.next() == delivery(4))
        // What is never stored has no number to be dropped by.
        #expect(try await socket.next() == delivery(0))
        #expect(try await socket.next() == accepted(2))
    }

    @Test func whatComesBeforeTheSessionIsKnownToBeOpenWaits() async throws {
        let gate = Mutex(false)
        let uplink = ScriptedUplink { open in
            while !gate.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(2)) }
            return ScriptedUplink.opened(open)
        }
        let edge = try TestEdge(uplink)
        let socket = try await edge.socket(token: edge.token())
        try await socket.send(.hello(.init()))
        try await socket.send(message(1))
        try await until { uplink.opens.count == 1 }
        uplink.deliver(delivery(1))
        uplink.deliver(delivery(2))
        gate.withLock { $0 = true }
        guard case .welcome = try await socket.next() else { return #expect(Bool(false)) }
        #expect(try await socket.next() == delivery(1))
        #expect(try await socket.next() == delivery(2))
        try await until { uplink.frames == [message(1)] }
    }

    @Test func aSessionThatCannotBeResumedStartsAnew() async throws {
        let count = Atomic<Int>(0)
        let uplink = ScriptedUplink { open in
            var opened = ScriptedUplink.opened(open)
            if count.add(1, ordering: .relaxed).newValue > 1 { opened.resumed = false }
            return opened
        }
        let edge = try TestEdge(uplink)
        let socket = try await edge.welcomed()
        uplink.connect(false)
        uplink.connect(true)
        #expect(try await socket.closed().code == 1012)
    }

    @Test func whatIsKeptForTheCentralIsBounded() async throws {
        let edge = try TestEdge { $0.maxUnansweredFramesPerConnection = 3 }
        let socket = try await edge.welcomed()
        edge.uplink.connect(false)
        try await Task.sleep(for: .milliseconds(20))
        for number in 1...4 as ClosedRange<UInt64> { try await socket.send(message(number)) }
        guard case .error(let failure) = try await socket.next() else { return #expect(Bool(false)) }
        #expect(failure.reference == id(4) && failure.code == .unavailable && failure.retryAfterMilliseconds == 1000)
        edge.uplink.connect(true)
        try await until { edge.uplink.frames.count == 3 }
        edge.uplink.deliver(accepted(1))
        #expect(try await socket.next() == accepted(1))
        try await socket.send(message(4))
        try await until { edge.uplink.frames.last == message(4) }
    }

    @Test func theCentralIsAskedSoManyFramesAtATime() async throws {
        let edge = try TestEdge { $0.maxFramesInFlightPerConnection = 2 }
        let socket = try await edge.welcomed()
        for number in 1...5 as ClosedRange<UInt64> { try await socket.send(message(number)) }
        try await socket.send(.ack(sequence: 7))
        // An acknowledgement waits for nothing.
        try await until { edge.uplink.frames == [message(1), message(2), .ack(sequence: 7)] }
        edge.uplink.deliver(accepted(2))
        try await until { edge.uplink.frames.last == message(3) }
        edge.uplink.connect(false)
        edge.uplink.state.withLock { $0.notices = [] }
        edge.uplink.connect(true)
        try await until { edge.uplink.frames == [.ack(sequence: 7), message(1), message(3)] }
        edge.uplink.deliver(accepted(1))
        edge.uplink.deliver(accepted(3))
        try await until { edge.uplink.frames.suffix(2) == [message(4), message(5)] }
    }

    // MARK: Drain

    @Test func aDrainSpreadsTheReturn() async throws {
        let edge = try TestEdge()
        var sockets: [TestSocket] = []
        for _ in 0..<5 { sockets.append(try await edge.welcomed()) }
        edge.shutdown.request()
        var slots: Set<Int> = []
        for socket in sockets {
            let (code, reason) = try await socket.closed()
            #expect(code == 1012)
            let prefix = "reconnect_after_ms="
            #expect(reason.hasPrefix(prefix))
            slots.insert(try #require(Int(reason.dropFirst(prefix.count))))
        }
        #expect(slots == [500, 1500, 2500, 3500, 4500])
        try await edge.running.value
        #expect(edge.uplink.state.withLock { $0.holds } == 0)
        #expect(edge.uplink.closes.count == 5)
    }
}
