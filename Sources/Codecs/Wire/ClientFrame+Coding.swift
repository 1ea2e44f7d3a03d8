public import Base

extension ClientFrame {
    private static let types = [
        "hello", "send", "ack", "status.post", "status.list", "status.delete", "call", "refresh",
    ]

    /// The frame as a JSON text (subprotocol `skerry.v1.json`).
    public var json: String {
        switch self {
        case .hello(let hello): JSONFieldWriter.frame("hello", hello)
        case .send(let send): JSONFieldWriter.frame("send", send)
        case .ack(let sequence): JSONFieldWriter.frame("ack", Acknowledgement(sequence: sequence))
        case .statusPost(let post): JSONFieldWriter.frame("status.post", post)
        case .statusList(let list): JSONFieldWriter.frame("status.list", list)
        case .statusDelete(let deletion): JSONFieldWriter.frame("status.delete", deletion)
        case .call(let signal): JSONFieldWriter.frame("call", signal)
        case .refresh(let token): JSONFieldWriter.frame("refresh", TokenRefresh(token: token))
        }
    }

    /// Reads a JSON text of at most `WireLimits.maxClientTextFrameBytes`.
    public init(json text: String) throws(WireError) {
        let (type, reader) = try JSONFieldReader.frame(
            text, maxBytes: WireLimits.maxClientTextFrameBytes, allowed: Self.types)
        switch type {
        case "hello": self = .hello(try Hello(from: reader))
        case "send": self = .send(try Send(from: reader))
        case "ack": self = .ack(sequence: try Acknowledgement(from: reader).sequence)
        case "status.post": self = .statusPost(try StatusPost(from: reader))
        case "status.list": self = .statusList(try StatusList(from: reader))
        case "status.delete": self = .statusDelete(try StatusDelete(from: reader))
        case "call": self = .call(try CallSignal(from: reader))
        default: self = .refresh(token: try TokenRefresh(from: reader).token)
        }
    }
}

extension ClientFrame: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        if let hello = try reader.message(1, "hello", as: Hello.self) {
            self = .hello(hello)
        } else if let send = try reader.message(2, "send", as: Send.self) {
            self = .send(send)
        } else if let ack = try reader.message(3, "ack", as: Acknowledgement.self) {
            self = .ack(sequence: ack.sequence)
        } else if let post = try reader.message(4, "status_post", as: StatusPost.self) {
            self = .statusPost(post)
        } else if let list = try reader.message(5, "status_list", as: StatusList.self) {
            self = .statusList(list)
        } else if let deletion = try reader.message(6, "status_delete", as: StatusDelete.self) {
            self = .statusDelete(deletion)
        } else if let signal = try reader.message(7, "call", as: CallSignal.self) {
            self = .call(signal)
        } else if let refresh = try reader.message(8, "refresh", as: TokenRefresh.self) {
            self = .refresh(token: refresh.token)
        } else {
            throw .unknownType("", allowed: Self.types)
        }
    }

    func write(to writer: inout some FieldWriter) {
        switch self {
        case .hello(let hello): writer.write(1, "hello", message: hello)
        case .send(let send): writer.write(2, "send", message: send)
        case .ack(let sequence): writer.write(3, "ack", message: Acknowledgement(sequence: sequence))
        case .statusPost(let post): writer.write(4, "status_post", message: post)
        case .statusList(let list): writer.write(5, "status_list", message: list)
        case .statusDelete(let deletion): writer.write(6, "status_delete", message: deletion)
        case .call(let signal): writer.write(7, "call", message: signal)
        case .refresh(let token): writer.write(8, "refresh", message: TokenRefresh(token: token))
        }
    }
}

extension ClientFrame {
    /// The id in a JSON text that is no valid frame, for the `error` that refuses it.
    public static func id(inRefused text: String) -> UUID? {
        guard
            let (_, reader) = try? JSONFieldReader.frame(
                text, maxBytes: WireLimits.maxClientTextFrameBytes, allowed: types)
        else { return nil }
        return (try? reader.uuid(1, "id")) ?? nil
    }
}
