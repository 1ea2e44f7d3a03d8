import Base
import HTTP
import Runtime
import Synchronization
import Testing
import Wire

@testable import Client

@Suite(.timeLimit(.minutes(1)))
struct MessagingClientTests {
    /// Frames that the scripted server got.
    private final class Heard: Sendable {
        private let frames = Mutex<[ClientFrame]>([])

        var all: [ClientFrame] { frames.withLock { $0 } }

        func next(_ socket: WebSocket) async throws -> ClientFrame {
            guard case .text(let text)? = try await socket.receive() else { throw CancellationError() }
            let frame = try ClientFrame(json: text)
            frames.withLock { $0.append(frame) }
            return frame
        }
    }

    private static func welcome(resumed: Bool = false) -> String {
        ServerFrame.welcome(
            ServerFrame.Welcome(
                device: .device(user: "alice", device: "phone"), resumeToken: "resume", resumed: resumed, credit: 64,
                serverTime: WallTime(milliseconds: 1))
        ).json
    }

    private static func deliver(_ sequence: UInt64, _ text: String) -> String {
        ServerFrame.deliver(
            ServerFrame.Deliver(
                sequence: sequence, id: UUID(high: 1, low: sequence), from: .device(user: "bob", device: "phone"),
                to: .user("alice"), messageClass: .message, time: WallTime(milliseconds: 1), payload: Array(text.utf8))
        ).json
    }

    private func connected(_ client: MessagingClient) async -> ServerFrame.Welcome? {
        while let event = await client.events.next() {
            if case .connected(let welcome) = event { return welcome }
        }
        return nil
    }

    @Test func aRequestIsSentAgainAfterALostConnectionWithTheSameID() async throws {
        let heard = Heard()
        let script = ScriptedEdge.Script(conversations: [
            { socket in
                _ = try await heard.next(socket)
                try await socket.send(text: Self.welcome())
                _ = try await heard.next(socket)
                await socket.close(code: 1011, reason: "")
            },
            { socket in
                _ = try await heard.next(socket)
                try await socket.send(text: Self.welcome(resumed: true))
                let frame = try await heard.next(socket)
                guard let id = frame.id else { return }
                try await socket.send(text: ServerFrame.accepted(ServerFrame.Accepted(id: id)).json)
                _ = try? await socket.receive()
            },
        ])
        try await ScriptedEdge.run(script) { edge in
            let client = edge.messaging()
            await client.start()
            #expect(await connected(client)?.resumed == false)
            let accepted = try await client.send([1, 2, 3], to: .user("bob"))
            #expect(await connected(client)?.resumed == true)
            await client.close()
            let frames = heard.all
            #expect(frames.count == 4)
            #expect(frames[1] == frames[3])
            #expect(frames[3].id == accepted.id)
            #expect(
                frames[2]
                    == .hello(ClientFrame.Hello(resume: ResumePoint(token: "resume", sequence: 0), client: "test")))
        }
    }

    @Test func deliveriesAreAcknowledgedAndResumedBehindTheLastOne() async throws {
        let heard = Heard()
        let script = ScriptedEdge.Script(conversations: [
            { socket in
                _ = try await heard.next(socket)
                try await socket.send(text: Self.welcome())
                try await socket.send(text: "{\"type\":\"of.the.future\"}")
                try await socket.send(text: Self.deliver(7, "one"))
                _ = try await heard.next(socket)
                await socket.close(code: 1012, reason: "reconnect_after_ms=5")
            },
            { socket in
                _ = try await heard.next(socket)
                try await socket.send(text: Self.welcome(resumed: true))
                try await socket.send(text: Self.deliver(8, "two"))
                _ = try? await socket.receive()
            },
        ])
        try await ScriptedEdge.run(script) { edge in
            let client = edge.messaging()
            await client.start()
            var texts: [String] = []
            while texts.count < 2, let event = await client.events.next() {
                guard case .deliver(let delivery) = event else { continue }
                texts.append(String(decoding: delivery.payload, as: UTF8.self))
                await client.acknowledge(delivery.sequence)
            }
            await client.close()
            #expect(texts == ["one", "two"])
            #expect(heard.all[1] == .ack(sequence: 7))
            #expect(
                heard.all[2]
                    == .hello(ClientFrame.Hello(resume: ResumePoint(token: "resume", sequence: 7), client: "test")))
        }
    }

    @Test(arguments: [4401, 4409] as [UInt16])
    func aCloseForGoodEndsTheClient(code: UInt16) async throws {
        let script = ScriptedEdge.Script(conversations: [
            { socket in
                _ = try await socket.receive()
                try await socket.send(text: Self.welcome())
                _ = try await socket.receive()
                await socket.close(code: code, reason: "")
            }
        ])
        try await ScriptedEdge.run(script) { edge in
            let client = edge.messaging()
            await client.start()
            #expect(await connected(client) != nil)
            let error = await #expect(throws: MessagingEnd.self) { _ = try await client.send([1], to: .user("bob")) }
            #expect(error == .closed(code: code, reason: ""))
            var last: MessagingEvent?
            while let event = await client.events.next() { last = event }
            #expect(last == .ended(.closed(code: code, reason: "")))
            #expect(edge.seen.withLock { $0.connections } == 1)
            await #expect(throws: MessagingEnd.self) { _ = try await client.send([1], to: .user("bob")) }
        }
    }

    @Test func anErrorAnswersItsRequest() async throws {
        let script = ScriptedEdge.Script(conversations: [
            { socket in
                _ = try await socket.receive()
                try await socket.send(text: Self.welcome())
                guard case .text(let text)? = try await socket.receive(), let id = try ClientFrame(json: text).id else {
                    return
                }
                let failure = ServerFrame.Failure(reference: id, code: .forbidden, message: "bob has blocked alice")
                try await socket.send(text: ServerFrame.error(failure).json)
                _ = try? await socket.receive()
            }
        ])
        try await ScriptedEdge.run(script) { edge in
            let client = edge.messaging()
            await client.start()
            let error = await #expect(throws: RequestRefused.self) { _ = try await client.send([1], to: .user("bob")) }
            #expect(error?.failure.code == .forbidden)
            await client.close()
        }
    }

    @Test func aFullQueueOfEventsDoesNotHoldUpTheEnd() async throws {
        let script = ScriptedEdge.Script(conversations: [
            { socket in
                _ = try await socket.receive()
                try await socket.send(text: Self.welcome())
                for _ in 0..<10 { try await socket.send(text: ServerFrame.drained.json) }
                _ = try? await socket.receive()
            }
        ])
        try await ScriptedEdge.run(script) { edge in
            let client = edge.messaging(maxQueuedEvents: 2)
            await client.start()
            #expect(await connected(client) != nil)
            await client.close()
            var left = 0
            while await client.events.next() != nil { left += 1 }
            #expect(left <= 2)
        }
    }
}
