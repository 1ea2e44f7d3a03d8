import Base

/// Writes a STUN message into a caller's buffer.
///
/// - Important: the buffer must hold the whole message (precondition) and outlive the writer. What a peer chooses and
///   is echoed must have been bounded by the caller.
public struct STUNWriter: ~Copyable {
    private let buffer: UnsafeMutableRawBufferPointer
    let transactionID: TransactionID
    /// Bytes written so far.
    public private(set) var count = STUNHeader.byteCount

    public init(into buffer: UnsafeMutableRawBufferPointer, type: STUNMessageType, transactionID: TransactionID) {
        precondition(buffer.count >= STUNHeader.byteCount, "no room for a STUN header")
        self.buffer = buffer
        self.transactionID = transactionID
        store(type.field, at: 0)
        store(UInt16(0), at: 2)
        store(STUNHeader.magicCookie, at: 4)
        store(transactionID.high, at: 8)
        store(transactionID.low, at: 12)
    }

    /// Writes an attribute's header and padding, and returns where its value goes.
    mutating func reserve(_ type: STUNAttributeType, count valueCount: Int) -> Int {
        let offset = count + STUNHeader.attributeHeaderByteCount
        let end = offset + STUNHeader.padded(valueCount)
        precondition(end <= buffer.count && end <= STUNHeader.byteCount + 0xFFFC, "no room for an attribute")
        store(type.rawValue, at: count)
        store(UInt16(valueCount), at: count + 2)
        for index in offset + valueCount..<end { buffer[index] = 0 }
        count = end
        return offset
    }

    public mutating func append(_ type: STUNAttributeType, bytes: some Collection<UInt8>) {
        let offset = reserve(type, count: bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + bytes.count]).copyBytes(from: bytes)
    }

    public mutating func append(_ type: STUNAttributeType, text: String) {
        append(type, bytes: text.utf8)
    }

    public mutating func append(_ type: STUNAttributeType, number: UInt32) {
        store(number, at: reserve(type, count: 4))
    }

    /// A value of one byte and three reserved ones: REQUESTED-TRANSPORT, REQUESTED-ADDRESS-FAMILY.
    public mutating func append(_ type: STUNAttributeType, leadingByte: UInt8) {
        append(type, number: UInt32(leadingByte) << 24)
    }

    public mutating func append(channelNumber: UInt16) {
        append(.channelNumber, number: UInt32(channelNumber) << 16)
    }

    /// ERROR-CODE with an empty reason phrase: clients go by the number, and the answer stays small.
    public mutating func append(error: STUNErrorCode) {
        append(.errorCode, number: error.attributeValue)
    }

    public mutating func append(unknownAttributes types: [STUNAttributeType]) {
        var offset = reserve(.unknownAttributes, count: types.count * 2)
        for type in types {
            store(type.rawValue, at: offset)
            offset += 2
        }
    }

    /// Sets the length, adds MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 when a key is given, then FINGERPRINT when asked
    /// for. Allocates nothing.
    ///
    /// - Returns: the size of the message.
    public consuming func finish(
        integrity: (STUNIntegrity, LongTermKey)? = nil, fingerprint addsFingerprint: Bool = false
    ) -> Int {
        if let (integrity, key) = integrity {
            let end = count
            let offset = reserve(integrity.attribute, count: integrity.byteCount)
            integrity.authenticate(
                UnsafeRawBufferPointer(buffer), count: end, attributeByteCount: integrity.byteCount, key: key,
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]))
        }
        if addsFingerprint {
            setLength(count + STUNHeader.attributeHeaderByteCount + STUNHeader.fingerprintByteCount)
            append(.fingerprint, number: fingerprint(of: UnsafeRawBufferPointer(rebasing: buffer[..<count])))
        }
        setLength(count)
        return count
    }

    private func setLength(_ total: Int) {
        store(UInt16(total - STUNHeader.byteCount), at: 2)
    }

    func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: offset, as: Value.self)
    }
}
