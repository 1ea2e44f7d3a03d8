import Base

extension UplinkFrame {
    var kind: Kind {
        switch self {
        case .request(_, let request):
            switch request {
            case .hello: .hello
            case .sessionOpen: .sessionOpen
            case .mediaRegister: .mediaRegister
            case .mediaLookup: .mediaLookup
            case .mediaGrant: .mediaGrant
            case .mediaRelease: .mediaRelease
            case .ping: .ping
            }
        case .response(_, let response):
            switch response {
            case .helloAck: .helloAck
            case .sessionOpened: .sessionOpened
            case .mediaRegistered: .mediaRegistered
            case .mediaFound: .mediaFound
            case .ok: .ok
            case .pong: .pong
            case .failed: .failed
            }
        case .edgeNotice(let notice):
            switch notice {
            case .sessionFrame: .edgeSessionFrame
            case .sessionClose: .edgeSessionClose
            case .mediaHold: .mediaHold
            }
        case .centralNotice(let notice):
            switch notice {
            case .sessionFrame: .centralSessionFrame
            case .sessionClose: .centralSessionClose
            case .mediaPurge: .mediaPurge
            case .edges: .edges
            }
        }
    }

    func write(to writer: inout some FieldWriter) {
        switch self {
        case .request(_, let request): request.write(to: &writer)
        case .response(_, let response): response.write(to: &writer)
        case .edgeNotice(let notice): notice.write(to: &writer)
        case .centralNotice(let notice): notice.write(to: &writer)
        }
    }

    static func message(_ kind: Kind, id: UInt64, _ reader: ProtobufReader) throws(WireError) -> UplinkFrame {
        switch kind {
        case .hello: .request(id: id, .hello(try UplinkHello(from: reader)))
        case .sessionOpen: .request(id: id, .sessionOpen(try SessionOpen(from: reader)))
        case .mediaRegister: .request(id: id, .mediaRegister(try MediaRegister(from: reader)))
        case .mediaLookup: .request(id: id, .mediaLookup(try MediaLookup(from: reader)))
        case .mediaGrant: .request(id: id, .mediaGrant(try MediaGrant(from: reader)))
        case .mediaRelease: .request(id: id, .mediaRelease(try MediaRelease(from: reader)))
        case .ping: .request(id: id, .ping(sentNanoseconds: try reader.requiredUInt64(1, "sent_ns")))
        case .helloAck: .response(id: id, .helloAck(try UplinkHelloAck(from: reader)))
        case .sessionOpened: .response(id: id, .sessionOpened(try SessionOpened(from: reader)))
        case .mediaRegistered: .response(id: id, .mediaRegistered(try MediaRegistered(from: reader)))
        case .mediaFound: .response(id: id, .mediaFound(try MediaFound(from: reader)))
        case .ok: .response(id: id, .ok)
        case .pong: .response(id: id, .pong(serverTime: try reader.requiredTime(1, "server_time_ms")))
        case .failed: .response(id: id, .failed(try UplinkFailure(from: reader)))
        case .edgeSessionFrame:
            .edgeNotice(.sessionFrame(session: try session(reader), try frame(ClientFrame.self, reader)))
        case .edgeSessionClose: .edgeNotice(.sessionClose(try SessionClose(from: reader)))
        case .mediaHold:
            .edgeNotice(
                .mediaHold(
                    object: try reader.requiredUUID(1, "object"), holds: try reader.requiredBool(2, "holds")))
        case .centralSessionFrame:
            .centralNotice(.sessionFrame(session: try session(reader), try frame(ServerFrame.self, reader)))
        case .centralSessionClose: .centralNotice(.sessionClose(try SessionClose(from: reader)))
        case .mediaPurge: .centralNotice(.mediaPurge(objects: try purged(reader)))
        case .edges:
            .centralNotice(
                .edges(
                    try reader.messages(
                        1, "edges", as: EdgeDescription.self, limit: WireLimits.maxUplinkElements)))
        }
    }

    private static func session(_ reader: ProtobufReader) throws(WireError) -> UInt64 {
        try reader.requiredUInt64(1, "session")
    }

    private static func frame<Frame: WireMessage>(
        _ type: Frame.Type, _ reader: ProtobufReader
    ) throws(WireError) -> Frame {
        guard let frame = try reader.message(2, "frame", as: type) else { throw .missing(field: "frame") }
        return frame
    }

    private static func purged(_ reader: ProtobufReader) throws(WireError) -> [UUID] {
        var objects: [UUID] = []
        for text in try reader.strings(1, "objects", limit: WireLimits.maxUplinkElements) {
            guard let object = UUID(text) else { throw .invalid(field: "objects", expected: "UUIDs") }
            objects.append(object)
        }
        return objects
    }
}

extension UplinkRequest {
    func write(to writer: inout some FieldWriter) {
        switch self {
        case .hello(let hello): hello.write(to: &writer)
        case .sessionOpen(let open): open.write(to: &writer)
        case .mediaRegister(let register): register.write(to: &writer)
        case .mediaLookup(let lookup): lookup.write(to: &writer)
        case .mediaGrant(let grant): grant.write(to: &writer)
        case .mediaRelease(let release): release.write(to: &writer)
        case .ping(let sentNanoseconds): writer.write(1, "sent_ns", uint64: sentNanoseconds)
        }
    }
}

extension UplinkResponse {
    func write(to writer: inout some FieldWriter) {
        switch self {
        case .helloAck(let ack): ack.write(to: &writer)
        case .sessionOpened(let opened): opened.write(to: &writer)
        case .mediaRegistered(let registered): registered.write(to: &writer)
        case .mediaFound(let found): found.write(to: &writer)
        case .ok: break
        case .pong(let serverTime): writer.write(1, "server_time_ms", time: serverTime)
        case .failed(let failure): failure.write(to: &writer)
        }
    }
}

extension EdgeNotice {
    func write(to writer: inout some FieldWriter) {
        switch self {
        case .sessionFrame(let session, let frame):
            writer.write(1, "session", uint64: session)
            writer.write(2, "frame", message: frame)
        case .sessionClose(let close): close.write(to: &writer)
        case .mediaHold(let object, let holds):
            writer.write(1, "object", string: object.description)
            writer.write(2, "holds", bool: holds)
        }
    }
}

extension CentralNotice {
    func write(to writer: inout some FieldWriter) {
        switch self {
        case .sessionFrame(let session, let frame):
            writer.write(1, "session", uint64: session)
            writer.write(2, "frame", message: frame)
        case .sessionClose(let close): close.write(to: &writer)
        case .mediaPurge(let objects): writer.write(1, "objects", strings: objects.map(\.description))
        case .edges(let edges): writer.write(1, "edges", messages: edges)
        }
    }
}
