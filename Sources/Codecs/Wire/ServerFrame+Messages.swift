import Base

// Field numbers and names are the protocol: they are never reused. Docs/protocol/connection.md has the table.

extension ServerFrame.Welcome: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        device = try reader.requiredPeer(1, "device")
        resumeToken = try reader.requiredText(2, "resume_token", maxBytes: WireLimits.maxResumeTokenBytes)
        resumed = try reader.requiredBool(3, "resumed")
        credit = try reader.requiredUInt32(4, "credit")
        serverTime = try reader.requiredTime(5, "server_time_ms")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "device", string: device.description)
        writer.write(2, "resume_token", string: resumeToken)
        writer.write(3, "resumed", bool: resumed)
        writer.write(4, "credit", uint32: credit)
        writer.write(5, "server_time_ms", time: serverTime)
    }
}

extension ServerFrame.Accepted: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        id = try reader.requiredUUID(1, "id")
        time = try reader.time(2, "time_ms")
        expiresAt = try reader.time(3, "expires_at_ms")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "id", string: id.description)
        if let time { writer.write(2, "time_ms", time: time) }
        if let expiresAt { writer.write(3, "expires_at_ms", time: expiresAt) }
    }
}

extension ServerFrame.Deliver: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        sequence = try reader.requiredUInt64(1, "seq")
        id = try reader.requiredUUID(2, "id")
        from = try reader.requiredPeer(3, "from")
        to = try reader.requiredPeer(4, "to")
        messageClass = try reader.requiredEnumeration(5, "class", as: MessageClass.self)
        time = try reader.requiredTime(6, "time_ms")
        payload = try reader.requiredPayload(7, "payload")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "seq", uint64: sequence)
        writer.write(2, "id", string: id.description)
        writer.write(3, "from", string: from.description)
        writer.write(4, "to", string: to.description)
        writer.write(5, "class", enumeration: messageClass)
        writer.write(6, "time_ms", time: time)
        writer.write(7, "payload", bytes: payload)
    }
}

extension ServerFrame.Gap: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        from = try reader.requiredUInt64(1, "from")
        to = try reader.requiredUInt64(2, "to")
        reason = try reader.requiredEnumeration(3, "reason", as: ServerFrame.GapReason.self)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "from", uint64: from)
        writer.write(2, "to", uint64: to)
        writer.write(3, "reason", enumeration: reason)
    }
}

extension ServerFrame.StatusItem: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        status = try reader.requiredUUID(1, "status")
        user = try reader.requiredName(2, "user")
        media = try reader.media(3, "media")
        payload = try reader.payload(4, "payload")
        time = try reader.requiredTime(5, "time_ms")
        expiresAt = try reader.requiredTime(6, "expires_at_ms")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "status", string: status.description)
        writer.write(2, "user", string: user)
        if let media { writer.write(3, "media", string: media.description) }
        if let payload { writer.write(4, "payload", bytes: payload) }
        writer.write(5, "time_ms", time: time)
        writer.write(6, "expires_at_ms", time: expiresAt)
    }
}

extension ServerFrame.StatusGone: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        status = try reader.requiredUUID(1, "status")
        user = try reader.requiredName(2, "user")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "status", string: status.description)
        writer.write(2, "user", string: user)
    }
}

extension ServerFrame.StatusItems: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        id = try reader.requiredUUID(1, "id")
        items = try reader.messages(2, "items", as: ServerFrame.StatusItem.self, limit: WireLimits.maxStatusItems)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "id", string: id.description)
        writer.write(2, "items", messages: items)
    }
}

extension ServerFrame.CallNotice: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        call = try reader.requiredUUID(1, "call")
        event = try reader.requiredEnumeration(2, "event", as: CallEvent.self)
        from = try reader.requiredPeer(3, "from")
        data = try reader.payload(4, "data") ?? []
        reason = try reader.text(5, "reason", maxBytes: WireLimits.maxTextBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "call", string: call.description)
        writer.write(2, "event", enumeration: event)
        writer.write(3, "from", string: from.description)
        writer.write(4, "data", bytes: data)
        if let reason { writer.write(5, "reason", string: reason) }
    }
}

extension ServerFrame.Failure: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        reference = try reader.uuid(1, "ref")
        code = FrameErrorCode(rawValue: try reader.requiredText(2, "code", maxBytes: WireLimits.maxTextBytes))
        message = try reader.requiredText(3, "message", maxBytes: WireLimits.maxTextBytes)
        retryAfterMilliseconds = try reader.uint32(4, "retry_after_ms")
    }

    func write(to writer: inout some FieldWriter) {
        if let reference { writer.write(1, "ref", string: reference.description) }
        writer.write(2, "code", string: code.rawValue)
        writer.write(3, "message", string: message)
        if let retryAfterMilliseconds { writer.write(4, "retry_after_ms", uint32: retryAfterMilliseconds) }
    }
}
