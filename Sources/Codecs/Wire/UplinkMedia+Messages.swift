import Base

// Field numbers are the protocol: they are never reused. Docs/protocol/uplink.md has the table.

private let maxVariantBytes = 256
private let maxHolders = 1024
private let maxDerivatives = 1024

extension MediaRegister: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        token = try reader.text(1, "token", maxBytes: WireLimits.maxTokenBytes)
        uploadCreatedAt = try reader.requiredTime(2, "upload_created_at_ms")
        media = try reader.requiredMedia(3, "media")
        variant = try reader.requiredText(4, "variant", maxBytes: maxVariantBytes)
        object = try reader.requiredUUID(5, "object")
        sizeBytes = try reader.requiredAmount(6, "size_bytes")
        storedBytes = try reader.requiredAmount(7, "stored_bytes")
        mode = try reader.requiredEnumeration(8, "mode", as: MediaMode.self)
        retention =
            if let seconds = try reader.amount(9, "retention_s") { .seconds(seconds) } else { .pinned }
        manifestRoot = try reader.requiredFixedBytes(10, "manifest_root", count: 32)
        contentType = try reader.requiredText(11, "content_type", maxBytes: WireLimits.maxTextBytes)
        filename = try reader.text(12, "filename", maxBytes: WireLimits.maxTextBytes)
        objectKey = try reader.fixedBytes(13, "object_key", count: 32)
    }

    func write(to writer: inout some FieldWriter) {
        if let token { writer.write(1, "token", string: token) }
        writer.write(2, "upload_created_at_ms", time: uploadCreatedAt)
        writer.write(3, "media", string: media.description)
        writer.write(4, "variant", string: variant)
        writer.write(5, "object", string: object.description)
        writer.write(6, "size_bytes", int64: sizeBytes)
        writer.write(7, "stored_bytes", int64: storedBytes)
        writer.write(8, "mode", enumeration: mode)
        if case .seconds(let seconds) = retention { writer.write(9, "retention_s", int64: seconds) }
        writer.write(10, "manifest_root", bytes: manifestRoot)
        writer.write(11, "content_type", string: contentType)
        if let filename { writer.write(12, "filename", string: filename) }
        if let objectKey { writer.write(13, "object_key", bytes: objectKey) }
    }
}

extension MediaRegistered: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        object = try reader.requiredUUID(1, "object")
        expiresAt = try reader.time(2, "expires_at_ms")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "object", string: object.description)
        if let expiresAt { writer.write(2, "expires_at_ms", time: expiresAt) }
    }
}

extension SignedMediaPath: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        keyID = try reader.requiredText(1, "kid", maxBytes: 128)
        expiresAtSeconds = try reader.requiredAmount(2, "expires_at_s")
        signature = try reader.requiredFixedBytes(3, "signature", count: 32)
        method = try reader.requiredText(4, "method", maxBytes: 16)
        pathPrefix = try reader.requiredText(5, "path_prefix", maxBytes: WireLimits.maxTextBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "kid", string: keyID)
        writer.write(2, "expires_at_s", int64: expiresAtSeconds)
        writer.write(3, "signature", bytes: signature)
        writer.write(4, "method", string: method)
        writer.write(5, "path_prefix", string: pathPrefix)
    }
}

extension MediaLookup: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        if let path = try reader.message(2, "signed_path", as: SignedMediaPath.self) {
            authorization = .signedPath(path)
        } else {
            authorization = .token(try reader.requiredText(1, "token", maxBytes: WireLimits.maxTokenBytes))
        }
        media = try reader.requiredMedia(3, "media")
        variant = try reader.requiredText(4, "variant", maxBytes: maxVariantBytes)
        waitMilliseconds = try reader.requiredUInt32(5, "wait_ms")
    }

    func write(to writer: inout some FieldWriter) {
        switch authorization {
        case .token(let token): writer.write(1, "token", string: token)
        case .signedPath(let path): writer.write(2, "signed_path", message: path)
        }
        writer.write(3, "media", string: media.description)
        writer.write(4, "variant", string: variant)
        writer.write(5, "wait_ms", uint32: waitMilliseconds)
    }
}

extension MediaFound: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        object = try reader.requiredUUID(1, "object")
        sizeBytes = try reader.requiredAmount(2, "size_bytes")
        storedBytes = try reader.requiredAmount(3, "stored_bytes")
        mode = try reader.requiredEnumeration(4, "mode", as: MediaMode.self)
        contentType = try reader.requiredText(5, "content_type", maxBytes: WireLimits.maxTextBytes)
        filename = try reader.text(6, "filename", maxBytes: WireLimits.maxTextBytes)
        manifestRoot = try reader.requiredFixedBytes(7, "manifest_root", count: 32)
        objectKey = try reader.fixedBytes(8, "object_key", count: 32)
        expiresAt = try reader.time(9, "expires_at_ms")
        leaseMilliseconds = try reader.requiredUInt32(10, "lease_ms")
        noStore = try reader.requiredBool(11, "no_store")
        holders = try reader.messages(12, "holders", as: EdgeDescription.self, limit: maxHolders)
        derivatives = try reader.messages(13, "derivatives", as: MediaDerivative.self, limit: maxDerivatives)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "object", string: object.description)
        writer.write(2, "size_bytes", int64: sizeBytes)
        writer.write(3, "stored_bytes", int64: storedBytes)
        writer.write(4, "mode", enumeration: mode)
        writer.write(5, "content_type", string: contentType)
        if let filename { writer.write(6, "filename", string: filename) }
        writer.write(7, "manifest_root", bytes: manifestRoot)
        if let objectKey { writer.write(8, "object_key", bytes: objectKey) }
        if let expiresAt { writer.write(9, "expires_at_ms", time: expiresAt) }
        writer.write(10, "lease_ms", uint32: leaseMilliseconds)
        writer.write(11, "no_store", bool: noStore)
        writer.write(12, "holders", messages: holders)
        writer.write(13, "derivatives", messages: derivatives)
    }
}

extension MediaDerivative: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        variant = try reader.requiredText(1, "variant", maxBytes: maxVariantBytes)
        sizeBytes = try reader.requiredAmount(2, "size_bytes")
        contentType = try reader.requiredText(3, "content_type", maxBytes: WireLimits.maxTextBytes)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "variant", string: variant)
        writer.write(2, "size_bytes", int64: sizeBytes)
        writer.write(3, "content_type", string: contentType)
    }
}

extension MediaGrant: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        token = try reader.requiredText(1, "token", maxBytes: WireLimits.maxTokenBytes)
        media = try reader.requiredMedia(2, "media")
        users = try reader.names(3, "users", limit: WireLimits.maxAudienceUsers)
        expiresInSeconds = try reader.amount(4, "expires_in_s", upTo: 10 * 365 * 86400)
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "token", string: token)
        writer.write(2, "media", string: media.description)
        writer.write(3, "users", strings: users)
        if let expiresInSeconds { writer.write(4, "expires_in_s", int64: expiresInSeconds) }
    }
}

extension MediaRelease: WireMessage {
    init(from reader: some FieldReader) throws(WireError) {
        token = try reader.requiredText(1, "token", maxBytes: WireLimits.maxTokenBytes)
        media = try reader.requiredMedia(2, "media")
    }

    func write(to writer: inout some FieldWriter) {
        writer.write(1, "token", string: token)
        writer.write(2, "media", string: media.description)
    }
}
