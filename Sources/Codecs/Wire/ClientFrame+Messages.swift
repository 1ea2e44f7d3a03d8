import Base

// Field numbers and names are the protocol: they are never reused. Docs/protocol/connection.md has the table.

extension ResumePoint: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        token = try reader.requiredText(1, "token", maxBytes: WireLimits.maxResumeTokenBytes)
        sequence = try reader.requiredUInt64(2, "seq")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "token", string: token)
        writer.write(2, "seq", uint64: sequence)
    }
}

extension ClientFrame.Hello: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        resume = try reader.message(1, "resume", as: ResumePoint.self)
        client = try reader.text(2, "client", maxBytes: WireLimits.maxClientNameBytes)
    }

    func write(to writer: inout some FieldWriter) {
        if let resume { writer.write(1, "resume", message: resume) }
        if let client { writer.write(2, "client", string: client) }
    }
}

extension ClientFrame.Send: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        id = try reader.requiredUUID(1, "id")
        to = try reader.requiredPeer(2, "to")
        messageClass = try reader.requiredEnumeration(3, "class", as: MessageClass.self)
        payload = try reader.requiredPayload(4, "payload")
        expiresInSeconds = try reader.amount(5, "expires_in_s", upTo: WireLimits.maxExpirySeconds)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "id", string: id.description)
        writer.write(2, "to", string: to.description)
        writer.write(3, "class", enumeration: messageClass)
        writer.write(4, "payload", bytes: payload)
        if let expiresInSeconds { writer.write(5, "expires_in_s", int64: expiresInSeconds) }
    }
}

extension ClientFrame.StatusPost: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        id = try reader.requiredUUID(1, "id")
        audience = try reader.names(2, "audience", limit: WireLimits.maxAudienceUsers)
        media = try reader.media(3, "media")
        payload = try reader.payload(4, "payload")
        expiresInMilliseconds = try reader.amount(5, "expires_in_ms", upTo: WireLimits.maxExpirySeconds * 1000)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "id", string: id.description)
        writer.write(2, "audience", strings: audience)
        if let media { writer.write(3, "media", string: media.description) }
        if let payload { writer.write(4, "payload", bytes: payload) }
        if let expiresInMilliseconds { writer.write(5, "expires_in_ms", int64: expiresInMilliseconds) }
    }
}

extension ClientFrame.StatusList: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        id = try reader.requiredUUID(1, "id")
        user = try reader.name(2, "user")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "id", string: id.description)
        if let user { writer.write(2, "user", string: user) }
    }
}

extension ClientFrame.StatusDelete: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        id = try reader.requiredUUID(1, "id")
        status = try reader.requiredUUID(2, "status")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "id", string: id.description)
        writer.write(2, "status", string: status.description)
    }
}

extension ClientFrame.CallSignal: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        id = try reader.requiredUUID(1, "id")
        call = try reader.requiredUUID(2, "call")
        event = try reader.requiredEnumeration(3, "event", as: CallEvent.self)
        to = try reader.requiredPeer(4, "to")
        data = try reader.payload(5, "data") ?? []
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "id", string: id.description)
        writer.write(2, "call", string: call.description)
        writer.write(3, "event", enumeration: event)
        writer.write(4, "to", string: to.description)
        if !data.isEmpty { writer.write(5, "data", bytes: data) }
    }
}

/// `ack`
struct Acknowledgement: WireMessage {
    let sequence: UInt64

    init(sequence: UInt64) { self.sequence = sequence }

    init(from reader: some FieldReader) throws(WireError) {
        sequence = try reader.requiredUInt64(1, "seq")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "seq", uint64: sequence)
    }
}

/// `refresh`
struct TokenRefresh: WireMessage {
    let token: String

    init(token: String) { self.token = token }

    init(from reader: some FieldReader) throws(WireError) {
        token = try reader.requiredText(1, "token", maxBytes: WireLimits.maxTokenBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "token", string: token)
    }
}

/// A frame without fields.
struct NoFields: WireMessage {
    init() {}
    init(from reader: some FieldReader) throws(WireError) {}
    func write(to writer: inout some FieldWriter) {}
}
