import Base
import Crypto
import Runtime
import SQLite

/// The key hierarchy: the root key, in a file beside the database, wraps a random key per tenant and hour of expiry, which
/// wraps the keys of the objects that expire in that hour.
///
/// An hour's key is deleted when the hour is over, an object's when it goes early: without them the bytes on any edge's
/// disk, in any backup of one, mean nothing. A wrapped key is nonce (12 bytes, random), ciphertext, tag; what it belongs
/// to is authenticated with it.
struct KeyVault: Sendable {
    private let rootKey: [UInt8]

    /// - Parameter creates: whether a file that is missing is made with a random key.
    /// - Throws: `EdgeError` if the file is missing, is not 32 bytes, or can be read by others than its owner.
    init(path: String, creates: Bool) throws {
        if creates, !FileSystem.exists(path) { try FileSystem.replace(path, with: randomBytes(32), mode: 0o600) }
        guard FileSystem.exists(path) else {
            throw EdgeError(.notFound, "there is no root key at \(path)", side: .internal)
        }
        guard try FileSystem.mode(of: path) & 0o077 == 0 else {
            throw EdgeError(.forbidden, "the root key \(path) must have mode 0600", side: .internal)
        }
        rootKey = try FileSystem.read(path, limit: 4096)
        guard rootKey.count == 32 else {
            throw EdgeError(.corrupt, "the root key \(path) must be 32 bytes", side: .internal)
        }
    }

    /// Wraps an object's key under the key of the hour in which it expires, which is made if there is none yet.
    func wrap(_ key: [UInt8], object: UUID, tenant: Tenant, hour: Int64, _ database: Database) throws -> [UInt8] {
        let bucket =
            try bucketKey(tenant: tenant, hour: hour, database) ?? makeBucketKey(tenant: tenant, hour: hour, database)
        return Self.seal(key, under: bucket, for: object.bytes)
    }

    /// - Returns: nil if the hour's key is gone, or if what is wrapped is not the object's key.
    func unwrap(
        _ wrapped: [UInt8], object: UUID, tenant: Tenant, hour: Int64, _ database: Database
    ) throws -> [UInt8]? {
        guard let bucket = try bucketKey(tenant: tenant, hour: hour, database) else { return nil }
        return Self.open(wrapped, under: bucket, for: object.bytes)
    }

    /// Deletes the keys of the hours that are over. Whoever does it truncates the log after the commit.
    ///
    /// - Returns: whether there were any.
    func destroyBuckets(now: WallTime, _ database: Database) throws -> Bool {
        try database.run("DELETE FROM bucket_key WHERE hour > 0 AND hour <= ?", .integer(now.milliseconds / 3_600_000))
            > 0
    }

    private func bucketKey(tenant: Tenant, hour: Int64, _ database: Database) throws -> [UInt8]? {
        let wrapped = try database.first(
            "SELECT wrapped_key FROM bucket_key WHERE tenant = ? AND hour = ?", .text(tenant.rawValue), .integer(hour)
        ) { $0.blob(0) }
        guard let wrapped else { return nil }
        guard let key = Self.open(wrapped, under: rootKey, for: Self.bucketName(tenant, hour)) else {
            throw EdgeError(
                .corrupt, "a bucket key does not open: is this the root key of this database?", side: .internal)
        }
        return key
    }

    private func makeBucketKey(tenant: Tenant, hour: Int64, _ database: Database) throws -> [UInt8] {
        let key = randomBytes(32)
        try database.run(
            "INSERT INTO bucket_key (tenant, hour, wrapped_key) VALUES (?, ?, ?)", .text(tenant.rawValue),
            .integer(hour),
            .blob(Self.seal(key, under: rootKey, for: Self.bucketName(tenant, hour))))
        return key
    }

    private static func bucketName(_ tenant: Tenant, _ hour: Int64) -> [UInt8] {
        Array("bucket\n\(tenant)\n\(hour)".utf8)
    }

    private static func seal(_ key: [UInt8], under parent: [UInt8], for name: [UInt8]) -> [UInt8] {
        let nonce = randomBytes(12)
        return nonce + AES256GCM.seal(key, key: parent, nonce: nonce, authenticating: name)
    }

    private static func open(_ wrapped: [UInt8], under parent: [UInt8], for name: [UInt8]) -> [UInt8]? {
        guard wrapped.count > 12 else { return nil }
        return AES256GCM.open(
            Array(wrapped.dropFirst(12)), key: parent, nonce: Array(wrapped.prefix(12)), authenticating: name)
    }
}
