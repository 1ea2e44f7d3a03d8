import Base
import RouterEngine
import SQLite
import Wire

/// Inboxes in the database: the load sets that the engine decides on, and the write sets that it returns.
enum InboxStore {
    // MARK: Messages

    static func load(
        _ submission: InboxEngine.Submission, for recipient: UserAddress, _ database: Database
    ) throws -> InboxEngine.LoadSet {
        let before = try acceptedBefore(submission.send.id, of: submission.sender, for: recipient, database)
        let inboxes = try database.rows(
            "SELECT device, last_sequence, messages, bytes FROM device WHERE tenant = ? AND user = ?",
            .text(recipient.tenant.rawValue), .text(recipient.user)
        ) {
            InboxEngine.Inbox(
                device: $0.text(0), lastSequence: UInt64($0.integer(1)), messages: $0.int(2), bytes: $0.int(3))
        }
        var waitingUsers = 0
        if inboxes.isEmpty {
            waitingUsers =
                try database.first(
                    "SELECT COUNT(*) FROM device WHERE slot = ? AND device = ''", .integer(Int(Slot(recipient).number))
                ) { $0.int(0) } ?? 0
        }
        return InboxEngine.LoadSet(acceptedBefore: before?.time, inboxes: inboxes, waitingUsers: waitingUsers)
    }

    static func apply(
        _ write: InboxEngine.WriteSet, of submission: InboxEngine.Submission, for recipient: UserAddress,
        _ database: Database
    ) throws {
        let send = submission.send
        if write.createsWaitingInbox { try insertDevice(InboxEngine.waiting, of: recipient, write.time, database) }
        try remember(
            send.id, of: submission.sender, for: recipient, Answer(time: write.time, expiresAt: nil),
            until: write.rememberIdUntil, database)
        try database.run(
            """
            INSERT INTO message (sender_user, sender_device, client_id, recipient, class, time_ms, payload, copies)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """, .text(submission.sender.user), .text(submission.sender.device), .blob(send.id.bytes),
            .text(send.to.description), .text(send.messageClass.rawValue), .integer(write.time.milliseconds),
            .blob(send.payload), .integer(write.entries.count))
        let message = database.lastInsertedRowID
        for entry in write.entries {
            try database.run(
                """
                INSERT INTO inbox (device, sequence, message, bytes, expires_ms)
                SELECT id, ?, ?, ?, ? FROM device WHERE tenant = ? AND user = ? AND device = ?
                """, .integer(Int64(entry.sequence)), .integer(message), .integer(send.payload.count),
                .integer(write.expiresAt.milliseconds), .text(recipient.tenant.rawValue), .text(recipient.user),
                .text(entry.device))
            try database.run(
                """
                UPDATE device SET last_sequence = ?, messages = messages + 1, bytes = bytes + ?
                WHERE tenant = ? AND user = ? AND device = ?
                """, .integer(Int64(entry.sequence)), .integer(send.payload.count), .text(recipient.tenant.rawValue),
                .text(recipient.user), .text(entry.device))
        }
        for trim in write.trims { try apply(trim, to: recipient, database) }
    }

    private static func apply(_ trim: InboxEngine.Trim, to user: UserAddress, _ database: Database) throws {
        let inbox = try database.first(
            "SELECT id, messages, bytes FROM device WHERE tenant = ? AND user = ? AND device = ?",
            .text(user.tenant.rawValue), .text(user.user), .text(trim.device)
        ) { (id: $0.integer(0), messages: $0.int(1), bytes: $0.int(2)) }
        guard let inbox else { return }
        var (messages, bytes) = (inbox.messages, inbox.bytes)
        while messages > trim.maxMessages || bytes > trim.maxBytes {
            let oldest = try database.first(
                "SELECT sequence, bytes FROM inbox WHERE device = ? ORDER BY sequence LIMIT 1", .integer(inbox.id)
            ) { (sequence: $0.integer(0), bytes: $0.int(1)) }
            guard let oldest else { return }
            try remove(from: inbox.id, through: UInt64(oldest.sequence), database)
            try database.run(
                "UPDATE device SET overflowed_through = ? WHERE id = ?", .integer(oldest.sequence), .integer(inbox.id))
            messages -= 1
            bytes -= oldest.bytes
        }
    }

    /// Deletes what stands in an inbox up to and including a number; a message goes with its last copy.
    static func remove(from inbox: Int64, through sequence: UInt64, _ database: Database) throws {
        let removed = try database.rows(
            "DELETE FROM inbox WHERE device = ? AND sequence <= ? RETURNING message, bytes", .integer(inbox),
            .integer(Int64(clamping: sequence))
        ) { (message: $0.integer(0), bytes: $0.int(1)) }
        try forget(removed.map { (inbox, $0.message, $0.bytes) }, database)
    }

    /// Deletes messages that have expired.
    ///
    /// - Returns: whether there may be more.
    static func removeExpired(now: WallTime, limit: Int, _ database: Database) throws -> Bool {
        let removed = try database.rows(
            """
            DELETE FROM inbox WHERE (device, sequence) IN
                (SELECT device, sequence FROM inbox WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)
            RETURNING device, message, bytes
            """, .integer(now.milliseconds), .integer(limit)
        ) { ($0.integer(0), $0.integer(1), $0.int(2)) }
        try forget(removed, database)
        return removed.count == limit
    }

    private static func forget(_ removed: [(inbox: Int64, message: Int64, bytes: Int)], _ database: Database) throws {
        for (inbox, message, bytes) in removed {
            try database.run(
                "UPDATE device SET messages = messages - 1, bytes = bytes - ? WHERE id = ?", .integer(bytes),
                .integer(inbox))
            try database.run("UPDATE message SET copies = copies - 1 WHERE id = ?", .integer(message))
            try database.run("DELETE FROM message WHERE id = ? AND copies <= 0", .integer(message))
        }
    }

    // MARK: Answers

    /// What was answered when a frame was accepted.
    struct Answer {
        var time: WallTime
        var expiresAt: WallTime?
    }

    static func acceptedBefore(
        _ id: UUID, of sender: DeviceAddress, for user: UserAddress, _ database: Database
    ) throws -> Answer? {
        try database.first(
            """
            SELECT time_ms, answer_expires_ms FROM accepted
            WHERE tenant = ? AND user = ? AND sender_user = ? AND sender_device = ? AND client_id = ?
            """, .text(user.tenant.rawValue), .text(user.user), .text(sender.user), .text(sender.device),
            .blob(id.bytes)
        ) {
            Answer(
                time: WallTime(milliseconds: $0.integer(0)),
                expiresAt: $0.optionalInteger(1).map { WallTime(milliseconds: $0) })
        }
    }

    static func remember(
        _ id: UUID, of sender: DeviceAddress, for user: UserAddress, _ answer: Answer, until: WallTime,
        _ database: Database
    ) throws {
        try database.run(
            "INSERT INTO accepted VALUES (?, ?, ?, ?, ?, ?, ?, ?)", .text(user.tenant.rawValue), .text(user.user),
            .text(sender.user), .text(sender.device), .blob(id.bytes), .integer(answer.time.milliseconds),
            .optional(answer.expiresAt?.milliseconds), .integer(until.milliseconds))
    }

    static func forgetAnswers(now: WallTime, limit: Int, _ database: Database) throws -> Bool {
        try database.run(
            """
            DELETE FROM accepted WHERE (tenant, user, sender_user, sender_device, client_id) IN
                (SELECT tenant, user, sender_user, sender_device, client_id FROM accepted WHERE until_ms <= ? LIMIT ?)
            """, .integer(now.milliseconds), .integer(limit)) == limit
    }

    @discardableResult
    static func insertDevice(_ device: String, of user: UserAddress, _ now: WallTime, _ database: Database) throws
        -> Int64
    {
        try database.run(
            "INSERT INTO device (slot, tenant, user, device, created_ms) VALUES (?, ?, ?, ?, ?)",
            .integer(Int(Slot(user).number)), .text(user.tenant.rawValue), .text(user.user), .text(device),
            .integer(now.milliseconds))
        return database.lastInsertedRowID
    }
}
