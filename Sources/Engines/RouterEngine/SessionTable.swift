package import Base

/// A session of a client: the link to its edge, and the number that the edge gave it there.
package struct SessionID: Hashable, Sendable {
    package var link: UInt64
    package var session: UInt64

    package init(link: UInt64, session: UInt64) {
        self.link = link
        self.session = session
    }
}

/// Who is connected where. A device has one session: when it connects again, the older one is closed (4409).
package struct SessionTable<Session> {
    private var sessions: [SessionID: (device: DeviceAddress, value: Session)] = [:]
    private var devices: [UserAddress: [String: SessionID]] = [:]

    package init() {}

    package var count: Int { sessions.count }

    package subscript(id: SessionID) -> Session? { sessions[id]?.value }

    /// Changes a session in place; nil if it is gone.
    package mutating func update<Result>(_ id: SessionID, _ change: (inout Session) -> Result) -> Result? {
        guard let index = sessions.index(forKey: id) else { return nil }
        return change(&sessions.values[index].value)
    }

    /// - Returns: the older session of the device, which is gone from the table and must be closed.
    package mutating func open(_ id: SessionID, device: DeviceAddress, _ value: Session) -> SessionID? {
        precondition(sessions[id] == nil, "a session opens once")
        let replaced = devices[device.owner]?[device.device]
        if let replaced { close(replaced) }
        sessions[id] = (device, value)
        devices[device.owner, default: [:]][device.device] = id
        return replaced
    }

    @discardableResult
    package mutating func close(_ id: SessionID) -> (device: DeviceAddress, value: Session)? {
        guard let entry = sessions.removeValue(forKey: id) else { return nil }
        devices[entry.device.owner]?[entry.device.device] = nil
        if devices[entry.device.owner]?.isEmpty == true { devices[entry.device.owner] = nil }
        return entry
    }

    /// Closes every session of a link that is gone.
    package mutating func close(link: UInt64) -> [SessionID] {
        let gone = sessions.keys.filter { $0.link == link }
        for id in gone { close(id) }
        return gone
    }

    package func session(of device: DeviceAddress) -> SessionID? { devices[device.owner]?[device.device] }

    /// The sessions of a user's devices, by device.
    package func sessions(of user: UserAddress) -> [String: SessionID] { devices[user] ?? [:] }
}
