import Base
import RouterEngine
import SQLite
import Wire

extension InboxStore {
    /// A device's place in the database after it connected.
    struct Connected {
        var inbox: Int64
        var outcome: DeviceRegistration.Outcome
    }

    /// Applies a connection: registers the device or takes over what waited, and replaces the resume token.
    static func connect(
        _ device: DeviceAddress, resume: (tokenHash: [UInt8], sequence: UInt64)?, newTokenHash: [UInt8],
        registration: DeviceRegistration, now: WallTime, _ database: Database
    ) throws -> Result<Connected, RouterError> {
        let (tenant, user) = (SQLValue.text(device.tenant.rawValue), SQLValue.text(device.user))
        let rows = try database.rows(
            """
            SELECT id, device, last_sequence, acknowledged, resume_hash, previous_resume_hash, resume_ms
            FROM device WHERE tenant = ? AND user = ?
            """, tenant, user
        ) {
            (
                id: $0.integer(0),
                record: DeviceRegistration.Record(
                    device: $0.text(1), lastSequence: UInt64($0.integer(2)), acknowledged: UInt64($0.integer(3)),
                    resumeTokenHashes: [$0.optionalBlob(4), $0.optionalBlob(5)].compactMap { $0 },
                    resumeTokenTime: WallTime(milliseconds: $0.integer(6)))
            )
        }
        let outcome: DeviceRegistration.Outcome
        do throws(RouterError) {
            outcome = try registration.connect(device, records: rows.map(\.record), resume: resume, now: now)
        } catch {
            return .failure(error)
        }
        let inbox: Int64
        switch outcome.change {
        case .register: inbox = try insertDevice(device.device, of: device.owner, now, database)
        case .takeOverWaiting:
            try database.run(
                "UPDATE device SET device = ? WHERE tenant = ? AND user = ? AND device = ''", .text(device.device),
                tenant,
                user)
            inbox = rows.first { $0.record.device == InboxEngine.waiting }?.id ?? 0
        case .none: inbox = rows.first { $0.record.device == device.device }?.id ?? 0
        }
        try database.run(
            """
            UPDATE device SET previous_resume_hash = resume_hash, resume_hash = ?, resume_ms = ? WHERE id = ?
            """, .blob(newTokenHash), .integer(now.milliseconds), .integer(inbox))
        return .success(Connected(inbox: inbox, outcome: outcome))
    }

    /// The client holds everything up to and including a number: it goes.
    static func acknowledge(_ inbox: Int64, through sequence: UInt64, _ database: Database) throws {
        let changed = try database.run(
            "UPDATE device SET acknowledged = ? WHERE id = ? AND acknowledged < ?", .integer(Int64(clamping: sequence)),
            .integer(inbox), .integer(Int64(clamping: sequence)))
        if changed > 0 { try remove(from: inbox, through: sequence, database) }
    }

    /// Deliveries of an inbox in one snapshot.
    struct Page: Sendable {
        var deliveries: [ServerFrame.Deliver]
        var window: DeliveryWindow.Page
    }

    /// - Parameter maxBytes: payload bytes after which a page ends early.
    static func page(
        of inbox: Int64, _ request: DeliveryWindow.ReadRequest, maxBytes: Int, now: WallTime, _ database: Database
    ) throws -> Page {
        let numbers = try database.first(
            "SELECT last_sequence, overflowed_through FROM device WHERE id = ?", .integer(inbox)
        ) { (last: UInt64($0.integer(0)), overflowed: UInt64($0.integer(1))) }
        guard let numbers else { throw EdgeError(.notFound, "the device is gone", side: .internal) }
        // One more than may be delivered tells whether there is more.
        let sizes = try database.rows(
            "SELECT bytes FROM inbox WHERE device = ? AND sequence > ? AND expires_ms > ? ORDER BY sequence LIMIT ?",
            .integer(inbox), .integer(Int64(clamping: request.after)), .integer(now.milliseconds),
            .integer(request.limit + 1)
        ) { $0.int(0) }
        var count = 0
        var bytes = 0
        for size in sizes.prefix(request.limit) where count == 0 || bytes + size <= maxBytes {
            count += 1
            bytes += size
        }
        let deliveries = try database.rows(
            """
            SELECT sequence, client_id, sender_user, sender_device, recipient, class, time_ms, payload
            FROM inbox JOIN message ON message.id = inbox.message
            WHERE inbox.device = ? AND sequence > ? AND expires_ms > ? ORDER BY sequence LIMIT ?
            """, .integer(inbox), .integer(Int64(clamping: request.after)), .integer(now.milliseconds), .integer(count)
        ) { row in
            guard let id = UUID(bytes: row.blob(1)), let to = PeerAddress(row.text(4)),
                let messageClass = MessageClass(rawValue: row.text(5))
            else { throw EdgeError(.corrupt, "a message in the database is damaged", side: .internal) }
            return ServerFrame.Deliver(
                sequence: UInt64(row.integer(0)), id: id, from: .device(user: row.text(2), device: row.text(3)), to: to,
                messageClass: messageClass, time: WallTime(milliseconds: row.integer(6)), payload: row.blob(7))
        }
        return Page(
            deliveries: deliveries,
            window: DeliveryWindow.Page(
                sequences: deliveries.map(\.sequence), lastSequence: numbers.last,
                overflowedThrough: numbers.overflowed, isComplete: count == sizes.count))
    }
}
