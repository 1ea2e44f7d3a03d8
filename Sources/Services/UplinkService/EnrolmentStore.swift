package import Base
import Crypto
import SQLite

/// The enrolment tokens that stand: a small database of the central's, which `edgectl enroll token` writes too.
package final class EnrolmentStore: Sendable {
    private static let migrations = [
        Migration(
            """
            CREATE TABLE tokens (
                secret_hash BLOB PRIMARY KEY,
                region TEXT NOT NULL,
                name TEXT NOT NULL,
                expires_at_ms INTEGER NOT NULL
            ) WITHOUT ROWID
            """)
    ]
    /// Tokens that may stand at a time.
    private static let maxTokens = 10_000

    private let writer: DatabaseWriter

    /// Opens the file, and makes it if there is none.
    package init(path: String) throws {
        writer = try DatabaseWriter(path: path, migrations: Self.migrations)
    }

    package func close() { writer.close() }

    /// Makes a token with which one node can get its certificate, once.
    ///
    /// - Parameter authorityPEM: the certificate of the cluster's authority.
    /// - Throws: `EdgeError` `.invalid` for a region of centrals, `.exhausted` when too many tokens stand.
    package func makeToken(
        for identity: NodeIdentity, authorityPEM: String, life: Duration, now: WallTime
    ) async throws -> EnrolmentToken {
        guard !identity.isCentral else {
            throw EdgeError(.invalid, "the region \(NodeIdentity.centralRegion) is for centrals; choose another")
        }
        let token = EnrolmentToken(
            cluster: identity.cluster, authorityFingerprint: try certificateFingerprint(pem: authorityPEM),
            secret: randomBytes(32))
        let hash = token.secretHash
        try await writer.write { database in
            _ = try database.run("DELETE FROM tokens WHERE expires_at_ms <= ?", .integer(now.milliseconds))
            let count = try database.first("SELECT COUNT(*) FROM tokens") { $0.int(0) } ?? 0
            guard count < Self.maxTokens else {
                throw EdgeError(.exhausted, "\(count) enrolment tokens stand; wait until some expire", side: .internal)
            }
            _ = try database.run(
                "INSERT INTO tokens VALUES (?, ?, ?, ?)", .blob(hash), .text(identity.region), .text(identity.name),
                .integer((now + life).milliseconds))
        }
        return token
    }

    /// Uses a token up. It stays when the body throws.
    ///
    /// - Returns: nil for a token that is unknown, used or expired.
    func use<Value: Sendable>(
        _ token: EnrolmentToken, now: WallTime, _ body: @escaping @Sendable (NodeIdentity) throws -> Value
    ) async throws -> Value? {
        let hash = token.secretHash
        return try await writer.write { database in
            let identity = try database.first(
                "DELETE FROM tokens WHERE secret_hash = ? AND expires_at_ms > ? RETURNING region, name", .blob(hash),
                .integer(now.milliseconds)
            ) { NodeIdentity(cluster: token.cluster, region: $0.text(0), name: $0.text(1)) }
            guard let identity = identity ?? nil else { return nil }
            return try body(identity)
        }
    }
}
