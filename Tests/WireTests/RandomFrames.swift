import Base
import Wire

/// Frames of every kind, from a seed.
struct RandomFrames {
    var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(state: seed) }

    mutating func bool() -> Bool { Bool.random(using: &generator) }
    mutating func number(_ range: ClosedRange<UInt64> = 0...UInt64.max) -> UInt64 {
        .random(in: range, using: &generator)
    }
    mutating func amount() -> Int64 { .random(in: 0...Int64.max, using: &generator) }
    mutating func uuid() -> UUID { UUID(high: number(), low: number()) }
    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    mutating func bytes() -> [UInt8] { bytes(Int.random(in: 0...300, using: &generator)) }
    mutating func time() -> WallTime { WallTime(milliseconds: .random(in: Int64.min...Int64.max, using: &generator)) }
    mutating func maybe<Value>(_ value: (inout Self) -> Value) -> Value? { bool() ? value(&self) : nil }
    mutating func element<Value: CaseIterable>(_ type: Value.Type) -> Value {
        type.allCases.randomElement(using: &generator)!
    }

    mutating func name() -> String {
        let letters = Array("abcXYZ019._-")
        return String(
            (0..<Int.random(in: 1...64, using: &generator)).map { _ in letters.randomElement(using: &generator)! })
    }

    mutating func text() -> String {
        let pieces = ["a", "é", "\"", "\\", "\n", "\u{0}", "漢", "😀", "/", " "]
        return (0..<Int.random(in: 0...20, using: &generator)).map { _ in pieces.randomElement(using: &generator)! }
            .joined()
    }

    mutating func peer() -> PeerAddress {
        switch number(0...2) {
        case 0: .user(name())
        case 1: .device(user: name(), device: name())
        default: .group(uuid())
        }
    }

    mutating func media() -> MediaID { MediaID(bytes: bytes(32))! }
    mutating func resume() -> ResumePoint { ResumePoint(token: text(), sequence: number()) }
    mutating func edge() -> EdgeDescription {
        EdgeDescription(name: name(), region: name(), siblingAddress: text())
    }
    mutating func list<Value>(_ value: (inout Self) -> Value) -> [Value] {
        (0..<Int(number(0...5))).map { _ in value(&self) }
    }

    mutating func clientFrame() -> ClientFrame {
        switch number(0...7) {
        case 0: .hello(.init(resume: maybe { $0.resume() }, client: maybe { $0.text() }))
        case 1:
            .send(
                .init(
                    id: uuid(), to: peer(), messageClass: element(MessageClass.self), payload: bytes(),
                    expiresInSeconds: maybe { Int64($0.number(0...UInt64(WireLimits.maxExpirySeconds))) }))
        case 2: .ack(sequence: number())
        case 3:
            .statusPost(
                .init(
                    id: uuid(), audience: list { $0.name() }, media: maybe { $0.media() },
                    payload: maybe { $0.bytes() },
                    expiresInMilliseconds: maybe { Int64($0.number(0...86_400_000)) }))
        case 4: .statusList(.init(id: uuid(), user: maybe { $0.name() }))
        case 5: .statusDelete(.init(id: uuid(), status: uuid()))
        case 6: .call(.init(id: uuid(), call: uuid(), event: element(CallEvent.self), to: peer(), data: bytes()))
        default: .refresh(token: text())
        }
    }

    mutating func statusItem() -> ServerFrame.StatusItem {
        .init(
            status: uuid(), user: name(), media: maybe { $0.media() }, payload: maybe { $0.bytes() }, time: time(),
            expiresAt: time())
    }

    mutating func serverFrame() -> ServerFrame {
        switch number(0...9) {
        case 0:
            .welcome(
                .init(
                    device: peer(), resumeToken: text(), resumed: bool(), credit: UInt32(number(0...0xFFFF_FFFF)),
                    serverTime: time()))
        case 1: .accepted(.init(id: uuid(), time: maybe { $0.time() }, expiresAt: maybe { $0.time() }))
        case 2:
            .deliver(
                .init(
                    sequence: number(), id: uuid(), from: peer(), to: peer(), messageClass: element(MessageClass.self),
                    time: time(), payload: bytes()))
        case 3: .drained
        case 4: .gap(.init(from: number(), to: number(), reason: element(ServerFrame.GapReason.self)))
        case 5: .statusNew(statusItem())
        case 6: .statusGone(.init(status: uuid(), user: name()))
        case 7: .statusItems(.init(id: uuid(), items: list { $0.statusItem() }))
        case 8:
            .call(
                .init(
                    call: uuid(), event: element(CallEvent.self), from: peer(), data: bytes(),
                    reason: maybe { $0.text() }))
        default:
            .error(
                .init(
                    reference: maybe { $0.uuid() }, code: FrameErrorCode(rawValue: text()), message: text(),
                    retryAfterMilliseconds: maybe { UInt32($0.number(0...0xFFFF_FFFF)) }))
        }
    }

    mutating func uplinkRequest() -> UplinkRequest {
        switch number(0...6) {
        case 0:
            .hello(
                .init(
                    versions: list { UInt32($0.number(0...9)) }, features: list { $0.text() }, node: name(),
                    region: name(),
                    siblingAddress: text(), turnURLs: list { $0.text() }, build: text()))
        case 1:
            .sessionOpen(
                .init(session: number(), token: text(), resume: maybe { $0.resume() }, client: maybe { $0.text() }))
        case 2:
            .mediaRegister(
                .init(
                    token: maybe { $0.text() }, uploadCreatedAt: time(), media: media(), variant: text(),
                    object: uuid(),
                    sizeBytes: amount(), storedBytes: amount(), mode: element(MediaMode.self),
                    retention: bool() ? .pinned : .seconds(amount()), manifestRoot: bytes(32), contentType: text(),
                    filename: maybe { $0.text() }, objectKey: maybe { $0.bytes(32) }))
        case 3:
            .mediaLookup(
                .init(
                    authorization: bool()
                        ? .token(text())
                        : .signedPath(
                            .init(
                                keyID: text(), expiresAtSeconds: amount(), signature: bytes(32), method: "GET",
                                pathPrefix: text())),
                    media: media(), variant: text(), waitMilliseconds: UInt32(number(0...0xFFFF_FFFF))))
        case 4:
            .mediaGrant(
                .init(token: text(), media: media(), users: list { $0.name() }, expiresInSeconds: maybe { _ in 60 }))
        case 5: .mediaRelease(.init(token: text(), media: media()))
        default: .ping(sentNanoseconds: number())
        }
    }

    mutating func uplinkResponse() -> UplinkResponse {
        switch number(0...6) {
        case 0: .helloAck(.init(version: 1, cluster: name(), serverTime: time(), edges: list { $0.edge() }))
        case 1:
            .sessionOpened(
                .init(
                    device: DeviceAddress(owner: UserAddress(tenant: Tenant(name())!, user: name())!, device: name())!,
                    resumeToken: text(), resumed: bool(), credit: 5, serverTime: time(), tokenExpiresAt: time()))
        case 2: .mediaRegistered(.init(object: uuid(), expiresAt: maybe { $0.time() }))
        case 3:
            .mediaFound(
                .init(
                    object: uuid(), sizeBytes: amount(), storedBytes: amount(), mode: element(MediaMode.self),
                    contentType: text(), filename: maybe { $0.text() }, manifestRoot: bytes(32),
                    objectKey: maybe { $0.bytes(32) }, expiresAt: maybe { $0.time() }, leaseMilliseconds: 60000,
                    noStore: bool(), holders: list { $0.edge() },
                    derivatives: list { .init(variant: $0.text(), sizeBytes: $0.amount(), contentType: $0.text()) }))
        case 4: .ok
        case 5: .pong(serverTime: time())
        default:
            .failed(
                .init(.exhausted, text(), retryAfterMilliseconds: maybe { UInt32($0.number(0...0xFFFF_FFFF)) }))
        }
    }

    mutating func sessionClose() -> SessionClose {
        SessionClose(session: number(), code: UInt16(number(0...65535)), reason: text())
    }

    mutating func uplinkFrame() -> UplinkFrame {
        switch number(0...8) {
        case 0, 1: .request(id: number(), uplinkRequest())
        case 2, 3: .response(id: number(), uplinkResponse())
        case 4: .edgeNotice(.sessionFrame(session: number(), clientFrame()))
        case 5: .edgeNotice(bool() ? .sessionClose(sessionClose()) : .mediaHold(object: uuid(), holds: bool()))
        case 6: .centralNotice(.sessionFrame(session: number(), serverFrame()))
        case 7: .centralNotice(bool() ? .sessionClose(sessionClose()) : .mediaPurge(objects: list { $0.uuid() }))
        default: .centralNotice(.edges(list { $0.edge() }))
        }
    }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
