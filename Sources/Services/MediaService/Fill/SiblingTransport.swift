package import Base
package import Wire

/// Fetches from another edge. What comes is not trusted: the caller verifies every byte.
package protocol SiblingTransport: Sendable {
    /// - Throws: `EdgeError`; `tooLarge` above the limit.
    func manifest(of object: UUID, at holder: EdgeDescription, limit: Int) async throws -> [UInt8]

    /// Stored chunks in a row, in pieces of any size.
    func chunks(
        of object: UUID, _ chunks: Range<Int>, at holder: EdgeDescription,
        receive: ([UInt8]) async throws -> Void
    ) async throws
}
