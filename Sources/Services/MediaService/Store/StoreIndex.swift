import Base
import MediaEngine
import SQLite
import Wire

/// The node's index: uploads, whole objects, thumbnail jobs, and files that are to be deleted.
///
/// Every write returns when it is on the disk.
final class StoreIndex: Sendable {
    let writer: DatabaseWriter
    let readers: DatabaseReaders

    init(path: String) throws {
        writer = try DatabaseWriter(path: path, migrations: Self.migrations)
        readers = try DatabaseReaders(path: path)
    }

    func close() {
        readers.close()
        writer.close()
    }

    private static let migrations = [
        Migration(
            """
            CREATE TABLE uploads (
                id BLOB PRIMARY KEY, tenant TEXT NOT NULL, user TEXT NOT NULL, created_ms INTEGER NOT NULL,
                touched_ms INTEGER NOT NULL, length INTEGER NOT NULL, header TEXT NOT NULL, filename TEXT, filetype TEXT,
                mode INTEGER NOT NULL, retention_s INTEGER, declared BLOB, object BLOB NOT NULL, file TEXT NOT NULL,
                key BLOB, offset INTEGER NOT NULL, midstate BLOB NOT NULL, tail BLOB NOT NULL, epochs BLOB NOT NULL,
                phase INTEGER NOT NULL, media BLOB, root BLOB, token BLOB
            ) WITHOUT ROWID;
            CREATE INDEX uploads_by_owner ON uploads (tenant, user, phase);
            CREATE INDEX uploads_by_phase ON uploads (phase, touched_ms);
            CREATE TABLE upload_leaves (
                upload BLOB NOT NULL, first INTEGER NOT NULL, leaves BLOB NOT NULL, PRIMARY KEY (upload, first)
            ) WITHOUT ROWID;
            CREATE TABLE objects (
                object BLOB PRIMARY KEY, media BLOB NOT NULL, variant TEXT NOT NULL, file TEXT NOT NULL,
                size INTEGER NOT NULL, mode INTEGER NOT NULL, root BLOB NOT NULL, expires_ms INTEGER
            ) WITHOUT ROWID;
            CREATE INDEX objects_by_expiry ON objects (expires_ms) WHERE expires_ms IS NOT NULL;
            CREATE TABLE thumbnail_jobs (
                source BLOB NOT NULL, variant TEXT NOT NULL, media BLOB NOT NULL, content_type TEXT NOT NULL,
                key BLOB NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER, attempts INTEGER NOT NULL,
                failed INTEGER NOT NULL, object BLOB, PRIMARY KEY (source, variant)
            ) WITHOUT ROWID;
            CREATE TABLE doomed_files (file TEXT PRIMARY KEY) WITHOUT ROWID;
            """)
    ]
}
