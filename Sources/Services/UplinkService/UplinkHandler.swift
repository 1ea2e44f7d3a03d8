package import Wire

/// What the central does with what its edges send. `UplinkServer` calls it.
package protocol UplinkHandler: Sendable {
    /// An edge is connected; its requests and notices come after this.
    func linkIsUp(_ link: UplinkLink)

    /// A link ended, with all its sessions. Called once per link that was up, before a newer link of the same node comes up.
    func linkIsDown(_ link: UplinkLink)

    /// Answers a request; `hello` and `ping` do not come here. Requests run concurrently, except that a `sessionOpen` runs before
    /// the notices of its session that came after it.
    func handle(_ request: UplinkRequest, from link: UplinkLink) async -> UplinkResponse

    /// Takes a notice. Those of one session come one after the other, in the order in which the edge sent them: the next waits
    /// until this returns. Notices of different sessions run concurrently.
    func handle(_ notice: EdgeNotice, from link: UplinkLink) async
}
