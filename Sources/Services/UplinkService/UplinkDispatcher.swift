import Base
import Runtime
import Wire

/// Reads one link of the central and hands what comes to the handler.
///
/// Used on the link's loop alone.
struct UplinkDispatcher {
    private let server: UplinkServer
    private let link: UplinkLink
    private let channel: UplinkChannel
    private let lanes: SessionLanes

    init(server: UplinkServer, link: UplinkLink, channel: UplinkChannel, maxInFlight: Int) {
        self.server = server
        self.link = link
        self.channel = channel
        lanes = SessionLanes(loop: channel.loop, maxInFlight: maxInFlight)
    }

    /// Returns when the link ends.
    func run() async throws {
        while let (head, body) = try await channel.receive() {
            server.metrics.framesReceived.increment()
            do {
                take(try UplinkFrame(head, body: body))
            } catch {
                refuse(head, error)
            }
            await lanes.waitForRoom()
        }
    }

    private func take(_ frame: UplinkFrame) {
        switch frame {
        case .request(let id, .ping): respond(id, .pong(serverTime: WallClock.now()))
        case .request(let id, .hello): respond(id, .failed(UplinkFailure(.conflict, "the link has said hello")))
        case .request(let id, .sessionOpen(let open)):
            lanes.run(session: open.session) { [self] in await openSession(id, open) }
        case .request(let id, let request):
            lanes.run { [self] in respond(id, await server.handler.handle(request, from: link)) }
        case .edgeNotice(let notice): take(notice)
        case .response, .centralNotice: break
        }
    }

    private func take(_ notice: EdgeNotice) {
        let session: UInt64?
        switch notice {
        case .sessionFrame(let id, _): session = id
        case .sessionClose(let close): session = close.session
        case .mediaHold: session = nil
        }
        // Session 0 is no session: the notices of the node itself.
        lanes.run(session: session ?? 0) { [self] in
            // What a link left behind when it ended was ended by linkIsDown.
            guard !channel.isClosed else { return }
            await server.handler.handle(notice, from: link)
        }
    }

    private func openSession(_ id: UInt64, _ open: SessionOpen) async {
        guard !channel.isClosed else { return }
        let answer = await server.handler.handle(.sessionOpen(open), from: link)
        respond(id, answer)
        // The link went down while the session was being opened: linkIsDown may have come too early to end it.
        if channel.isClosed, case .sessionOpened = answer {
            let close = SessionClose(session: open.session, code: 1006, reason: "the edge is gone")
            await server.handler.handle(.sessionClose(close), from: link)
        }
    }

    private func respond(_ id: UInt64, _ response: UplinkResponse) {
        do {
            server.metrics.framesSent.increment()
            _ = try channel.send(.response(id: id, response))
        } catch {
            server.logger.error("an answer to an edge is too large")
            _ = try? channel.send(.response(id: id, .failed(UplinkFailure(.tooLarge, "the answer is too large"))))
        }
    }

    /// What a later version says and this one does not know is answered or skipped; the link goes on.
    private func refuse(_ head: UplinkFrame.Head, _ error: WireError) {
        if head.group == .request {
            respond(head.requestID, .failed(UplinkFailure(.invalid, "\(error)")))
        } else {
            server.metrics.framesRefused.increment()
            server.logger.debug(
                "skipped a frame of an edge",
                metadata: ["node": link.identity.uri, "kind": "\(head.kind)", "reason": "\(error)"])
        }
    }
}
