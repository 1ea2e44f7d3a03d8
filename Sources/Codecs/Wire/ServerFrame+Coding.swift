import Base

extension ServerFrame {
    private static let types = [
        "welcome", "accepted", "deliver", "drained", "gap", "status.new", "status.gone", "status.items", "call",
        "error",
    ]

    /// The frame as a JSON text (subprotocol `skerry.v1.json`).
    public var json: String {
        switch self {
        case .welcome(let welcome): JSONFieldWriter.frame("welcome", welcome)
        case .accepted(let accepted): JSONFieldWriter.frame("accepted", accepted)
        case .deliver(let deliver): JSONFieldWriter.frame("deliver", deliver)
        case .drained: JSONFieldWriter.frame("drained", NoFields())
        case .gap(let gap): JSONFieldWriter.frame("gap", gap)
        case .statusNew(let item): JSONFieldWriter.frame("status.new", item)
        case .statusGone(let gone): JSONFieldWriter.frame("status.gone", gone)
        case .statusItems(let items): JSONFieldWriter.frame("status.items", items)
        case .call(let notice): JSONFieldWriter.frame("call", notice)
        case .error(let failure): JSONFieldWriter.frame("error", failure)
        }
    }

    /// Reads a JSON text of at most `WireLimits.maxServerTextFrameBytes`.
    public init(json text: String) throws(WireError) {
        let (type, reader) = try JSONFieldReader.frame(
            text, maxBytes: WireLimits.maxServerTextFrameBytes, allowed: Self.types)
        switch type {
        case "welcome": self = .welcome(try Welcome(from: reader))
        case "accepted": self = .accepted(try Accepted(from: reader))
        case "deliver": self = .deliver(try Deliver(from: reader))
        case "drained": self = .drained
        case "gap": self = .gap(try Gap(from: reader))
        case "status.new": self = .statusNew(try StatusItem(from: reader))
        case "status.gone": self = .statusGone(try StatusGone(from: reader))
        case "status.items": self = .statusItems(try StatusItems(from: reader))
        case "call": self = .call(try CallNotice(from: reader))
        default: self = .error(try Failure(from: reader))
        }
    }
}

extension ServerFrame: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        if let welcome = try reader.message(1, "welcome", as: Welcome.self) {
            self = .welcome(welcome)
        } else if let accepted = try reader.message(2, "accepted", as: Accepted.self) {
            self = .accepted(accepted)
        } else if let deliver = try reader.message(3, "deliver", as: Deliver.self) {
            self = .deliver(deliver)
        } else if try reader.message(4, "drained", as: NoFields.self) != nil {
            self = .drained
        } else if let gap = try reader.message(5, "gap", as: Gap.self) {
            self = .gap(gap)
        } else if let item = try reader.message(6, "status_new", as: StatusItem.self) {
            self = .statusNew(item)
        } else if let gone = try reader.message(7, "status_gone", as: StatusGone.self) {
            self = .statusGone(gone)
        } else if let items = try reader.message(8, "status_items", as: StatusItems.self) {
            self = .statusItems(items)
        } else if let notice = try reader.message(9, "call", as: CallNotice.self) {
            self = .call(notice)
        } else if let failure = try reader.message(10, "error", as: Failure.self) {
            self = .error(failure)
        } else {
            throw .unknownType("", allowed: Self.types)
        }
    }

    func write(to writer: inout some FieldWriter) {
        switch self {
        case .welcome(let welcome): writer.write(1, "welcome", message: welcome)
        case .accepted(let accepted): writer.write(2, "accepted", message: accepted)
        case .deliver(let deliver): writer.write(3, "deliver", message: deliver)
        case .drained: writer.write(4, "drained", message: NoFields())
        case .gap(let gap): writer.write(5, "gap", message: gap)
        case .statusNew(let item): writer.write(6, "status_new", message: item)
        case .statusGone(let gone): writer.write(7, "status_gone", message: gone)
        case .statusItems(let items): writer.write(8, "status_items", message: items)
        case .call(let notice): writer.write(9, "call", message: notice)
        case .error(let failure): writer.write(10, "error", message: failure)
        }
    }
}
