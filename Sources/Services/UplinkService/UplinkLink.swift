package import Wire

/// The central's end of the link to one edge.
package final class UplinkLink: Sendable {
    /// Unique within the process; a node that connects again gets another.
    package let id: UInt64
    package let identity: NodeIdentity
    /// What the edge said of itself.
    package let hello: UplinkHello
    private let deliver: @Sendable (CentralNotice) -> Bool
    private let end: @Sendable () -> Void

    /// - Parameters:
    ///   - deliver: takes a notice without waiting; false when the link is gone or too slow.
    ///   - end: closes the connection.
    package init(
        id: UInt64, identity: NodeIdentity, hello: UplinkHello, deliver: @escaping @Sendable (CentralNotice) -> Bool,
        end: @escaping @Sendable () -> Void
    ) {
        self.id = id
        self.identity = identity
        self.hello = hello
        self.deliver = deliver
        self.end = end
    }

    package var node: EdgeDescription {
        EdgeDescription(name: identity.name, region: identity.region, siblingAddress: hello.siblingAddress)
    }

    /// Sends a notice, in order, without waiting. From any thread.
    ///
    /// - Returns: false when the link is gone. A link whose edge does not read fast enough is closed.
    @discardableResult
    package func send(_ notice: CentralNotice) -> Bool { deliver(notice) }

    /// Closes the connection; `linkIsDown` follows.
    package func close() { end() }
}

extension UplinkLink: Hashable {
    package static func == (left: UplinkLink, right: UplinkLink) -> Bool { left.id == right.id }
    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
