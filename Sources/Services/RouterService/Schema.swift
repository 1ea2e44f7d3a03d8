import SQLite

/// The tables of the central. A released step never changes; a change is a new step.
///
/// Every row belongs to one slot: to that of the user, of the author, or of the media that its key begins with. Times are
/// milliseconds since 1970; ids are 16 or 32 bytes; an `expires_ms` that is null is never.
enum Schema {
    static let migrations = [first]

    private static let first = Migration(
        """
        -- One inbox per device; the device '' is what waits for a user's first device.
        CREATE TABLE device (
            id INTEGER PRIMARY KEY, slot INTEGER NOT NULL, tenant TEXT NOT NULL, user TEXT NOT NULL,
            device TEXT NOT NULL, last_sequence INTEGER NOT NULL DEFAULT 0, acknowledged INTEGER NOT NULL DEFAULT 0,
            overflowed_through INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0, resume_hash BLOB, previous_resume_hash BLOB,
            resume_ms INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL,
            UNIQUE (tenant, user, device));
        CREATE INDEX device_waiting ON device (slot) WHERE device = '';
        -- A message stands once, however many inboxes it is in.
        CREATE TABLE message (
            id INTEGER PRIMARY KEY, sender_user TEXT NOT NULL, sender_device TEXT NOT NULL, client_id BLOB NOT NULL,
            recipient TEXT NOT NULL, class TEXT NOT NULL, time_ms INTEGER NOT NULL, payload BLOB NOT NULL,
            copies INTEGER NOT NULL);
        CREATE TABLE inbox (
            device INTEGER NOT NULL, sequence INTEGER NOT NULL, message INTEGER NOT NULL, bytes INTEGER NOT NULL,
            expires_ms INTEGER NOT NULL, PRIMARY KEY (device, sequence)) WITHOUT ROWID;
        CREATE INDEX inbox_expiry ON inbox (expires_ms);
        -- What was answered to an id: of a message to this user, or of a status of this user.
        CREATE TABLE accepted (
            tenant TEXT NOT NULL, user TEXT NOT NULL, sender_user TEXT NOT NULL, sender_device TEXT NOT NULL,
            client_id BLOB NOT NULL, time_ms INTEGER NOT NULL, answer_expires_ms INTEGER, until_ms INTEGER NOT NULL,
            PRIMARY KEY (tenant, user, sender_user, sender_device, client_id)) WITHOUT ROWID;
        CREATE INDEX accepted_until ON accepted (until_ms);

        CREATE TABLE status (
            tenant TEXT NOT NULL, author TEXT NOT NULL, status BLOB NOT NULL, media BLOB, payload BLOB,
            time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (tenant, author, status));
        CREATE INDEX status_expiry ON status (expires_ms);
        CREATE TABLE status_audience (
            tenant TEXT NOT NULL, author TEXT NOT NULL, status BLOB NOT NULL, viewer TEXT NOT NULL,
            PRIMARY KEY (tenant, author, status, viewer)) WITHOUT ROWID;
        -- In the viewer's slot, by the outbox.
        CREATE TABLE feed (
            tenant TEXT NOT NULL, viewer TEXT NOT NULL, author TEXT NOT NULL, status BLOB NOT NULL,
            expires_ms INTEGER NOT NULL, PRIMARY KEY (tenant, viewer, author, status)) WITHOUT ROWID;
        CREATE INDEX feed_expiry ON feed (expires_ms);

        -- Effects on other slots that are not applied yet; `last` numbers a slot's decisions.
        CREATE TABLE slot_sequence (slot INTEGER PRIMARY KEY, last INTEGER NOT NULL);
        CREATE TABLE outbox (
            slot INTEGER NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL,
            tenant TEXT NOT NULL, author TEXT NOT NULL, status BLOB NOT NULL, viewer TEXT, media BLOB, users TEXT,
            expires_ms INTEGER, PRIMARY KEY (slot, sequence, position)) WITHOUT ROWID;

        -- The variant '' is the original; all variants expire with it.
        CREATE TABLE media (
            tenant TEXT NOT NULL, media BLOB NOT NULL, mode TEXT NOT NULL, variant TEXT NOT NULL,
            object BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, stored_bytes INTEGER NOT NULL,
            content_type TEXT NOT NULL, filename TEXT, manifest_root BLOB NOT NULL, wrapped_key BLOB,
            bucket_hour INTEGER, created_ms INTEGER NOT NULL, expires_ms INTEGER,
            PRIMARY KEY (tenant, media, mode, variant));
        CREATE INDEX media_expiry ON media (expires_ms) WHERE expires_ms IS NOT NULL;
        CREATE TABLE reference (
            tenant TEXT NOT NULL, media BLOB NOT NULL, mode TEXT NOT NULL, user TEXT NOT NULL, expires_ms INTEGER,
            PRIMARY KEY (tenant, media, mode, user)) WITHOUT ROWID;
        CREATE INDEX reference_expiry ON reference (expires_ms) WHERE expires_ms IS NOT NULL;
        -- Users to whom a live status shows the media. In the media's slot, by the outbox.
        CREATE TABLE shown (
            tenant TEXT NOT NULL, media BLOB NOT NULL, user TEXT NOT NULL, author TEXT NOT NULL, status BLOB NOT NULL,
            expires_ms INTEGER NOT NULL, PRIMARY KEY (tenant, media, user, author, status)) WITHOUT ROWID;
        CREATE INDEX shown_expiry ON shown (expires_ms);
        CREATE TABLE holder (object BLOB NOT NULL, edge TEXT NOT NULL, PRIMARY KEY (object, edge)) WITHOUT ROWID;
        -- What an edge must delete and has not yet said that it has.
        CREATE TABLE purge (
            edge TEXT NOT NULL, object BLOB NOT NULL, since_ms INTEGER NOT NULL, PRIMARY KEY (edge, object)) WITHOUT ROWID;
        CREATE INDEX purge_since ON purge (since_ms);
        -- Keys of the hours: an hour that is over has none, and what it wrapped is lost.
        CREATE TABLE bucket_key (
            tenant TEXT NOT NULL, hour INTEGER NOT NULL, wrapped_key BLOB NOT NULL,
            PRIMARY KEY (tenant, hour)) WITHOUT ROWID;
        """)
}
