import Base

// Field numbers are the protocol: they are never reused. Docs/protocol/uplink.md has the table.

/// Elements of the small lists of a node's description.
private let maxDescriptionElements = 64

extension UplinkHello: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        versions = []
        for text in try reader.strings(1, "versions", limit: maxDescriptionElements) {
            guard let version = UInt32(text) else { throw .invalid(field: "versions", expected: "numbers") }
            versions.append(version)
        }
        features = try reader.strings(2, "features", limit: maxDescriptionElements)
        node = try reader.requiredName(3, "node")
        region = try reader.requiredName(4, "region")
        siblingAddress = try reader.requiredText(5, "sibling_address", maxBytes: WireLimits.maxTextBytes)
        turnURLs = try reader.strings(6, "turn_urls", limit: maxDescriptionElements)
        build = try reader.requiredText(7, "build", maxBytes: WireLimits.maxTextBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "versions", strings: versions.map { String($0) })
        writer.write(2, "features", strings: features)
        writer.write(3, "node", string: node)
        writer.write(4, "region", string: region)
        writer.write(5, "sibling_address", string: siblingAddress)
        writer.write(6, "turn_urls", strings: turnURLs)
        writer.write(7, "build", string: build)
    }
}

extension UplinkHelloAck: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        version = try reader.requiredUInt32(1, "version")
        cluster = try reader.requiredName(2, "cluster")
        serverTime = try reader.requiredTime(3, "server_time_ms")
        edges = try reader.messages(4, "edges", as: EdgeDescription.self, limit: WireLimits.maxUplinkElements)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "version", uint32: version)
        writer.write(2, "cluster", string: cluster)
        writer.write(3, "server_time_ms", time: serverTime)
        writer.write(4, "edges", messages: edges)
    }
}

extension EdgeDescription: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        name = try reader.requiredName(1, "name")
        region = try reader.requiredName(2, "region")
        siblingAddress = try reader.requiredText(3, "sibling_address", maxBytes: WireLimits.maxTextBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "name", string: name)
        writer.write(2, "region", string: region)
        writer.write(3, "sibling_address", string: siblingAddress)
    }
}

extension SessionOpen: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        session = try reader.requiredUInt64(1, "session")
        token = try reader.requiredText(2, "token", maxBytes: WireLimits.maxTokenBytes)
        resume = try reader.message(3, "resume", as: ResumePoint.self)
        client = try reader.text(4, "client", maxBytes: WireLimits.maxClientNameBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "session", uint64: session)
        writer.write(2, "token", string: token)
        if let resume { writer.write(3, "resume", message: resume) }
        if let client { writer.write(4, "client", string: client) }
    }
}

extension SessionOpened: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        guard let tenant = Tenant(try reader.requiredName(1, "tenant")),
            let owner = UserAddress(tenant: tenant, user: try reader.requiredName(2, "user")),
            let device = DeviceAddress(owner: owner, device: try reader.requiredName(3, "device"))
        else { throw .invalid(field: "device", expected: "[A-Za-z0-9._-]{1,64}") }
        self.device = device
        resumeToken = try reader.requiredText(4, "resume_token", maxBytes: WireLimits.maxResumeTokenBytes)
        resumed = try reader.requiredBool(5, "resumed")
        credit = try reader.requiredUInt32(6, "credit")
        serverTime = try reader.requiredTime(7, "server_time_ms")
        tokenExpiresAt = try reader.requiredTime(8, "token_expires_at_ms")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "tenant", string: device.tenant.rawValue)
        writer.write(2, "user", string: device.user)
        writer.write(3, "device", string: device.device)
        writer.write(4, "resume_token", string: resumeToken)
        writer.write(5, "resumed", bool: resumed)
        writer.write(6, "credit", uint32: credit)
        writer.write(7, "server_time_ms", time: serverTime)
        writer.write(8, "token_expires_at_ms", time: tokenExpiresAt)
    }
}

extension SessionClose: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        session = try reader.requiredUInt64(1, "session")
        guard let code = UInt16(exactly: try reader.requiredUInt32(2, "code")) else {
            throw .invalid(field: "code", expected: "a WebSocket close code")
        }
        self.code = code
        reason = try reader.requiredText(3, "reason", maxBytes: WireLimits.maxTextBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "session", uint64: session)
        writer.write(2, "code", uint32: UInt32(code))
        writer.write(3, "reason", string: reason)
    }
}

extension UplinkFailure: WireMessage {
    /// A kind that a later version added reads as `unavailable`: the caller may try again.
    init(from reader: some FieldReader) throws(WireError) {
        kind = EdgeError.Kind(rawValue: try reader.requiredText(1, "kind", maxBytes: 64)) ?? .unavailable
        message = try reader.requiredText(2, "message", maxBytes: WireLimits.maxTextBytes)
        retryAfterMilliseconds = try reader.uint32(3, "retry_after_ms")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "kind", string: kind.rawValue)
        writer.write(2, "message", string: message)
        if let retryAfterMilliseconds { writer.write(3, "retry_after_ms", uint32: retryAfterMilliseconds) }
    }
}
