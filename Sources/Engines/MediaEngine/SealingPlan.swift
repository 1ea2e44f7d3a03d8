package import Base
package import Wire

/// With what a chunk is sealed: nonce and associated data of AES-256-GCM.
///
/// Nonce: epoch (4 bytes), chunk index (8 bytes). Associated data: storage object id (16), mode (1), index (8), last
/// flag (1): a chunk opens only in its own object, at its own place, and only the last chunk opens as the last.
package struct SealingPlan: Equatable, Sendable {
    package static let keyBytes = 32
    package static let nonceBytes = 12
    /// The info string from which the key of tail records is derived. They have random nonces, so that they must not
    /// share a key with the counted ones.
    package static let tailInfo = Array("skerry tail record".utf8)

    package let object: UUID
    package let mode: MediaMode

    package init(object: UUID, mode: MediaMode) {
        self.object = object
        self.mode = mode
    }

    package func nonce(chunk: Int, epoch: UInt32) -> [UInt8] {
        var nonce: [UInt8] = []
        nonce.reserveCapacity(Self.nonceBytes)
        nonce.append(bigEndian: epoch)
        nonce.append(bigEndian: UInt64(chunk))
        return nonce
    }

    package func associatedData(chunk: Int, isLast: Bool) -> [UInt8] {
        var data = object.bytes
        data.reserveCapacity(26)
        data.append(mode.byte)
        data.append(bigEndian: UInt64(chunk))
        data.append(isLast ? 1 : 0)
        return data
    }

    /// For the record that holds a partial chunk of an unfinished upload: bound to the offset at which it starts.
    package func tailAssociatedData(chunk: Int, offset: Int64) -> [UInt8] {
        var data = object.bytes
        data.append(0x80 | mode.byte)
        data.append(bigEndian: UInt64(chunk))
        data.append(bigEndian: UInt64(bitPattern: offset))
        return data
    }
}
