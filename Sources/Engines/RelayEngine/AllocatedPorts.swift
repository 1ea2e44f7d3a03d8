public import Base

/// The ports of an allocation's relayed transport addresses, by address family; at least one of them.
public struct AllocatedPorts: Equatable, Sendable {
    public var v4: UInt16?
    public var v6: UInt16?

    public init(v4: UInt16? = nil, v6: UInt16? = nil) {
        self.v4 = v4
        self.v6 = v6
    }

    public subscript(_ family: IPAddress.Family) -> UInt16? {
        @inline(__always) get { family == .v4 ? v4 : v6 }
        set { if family == .v4 { v4 = newValue } else { v6 = newValue } }
    }

    public var families: [IPAddress.Family] { (v4 == nil ? [] : [.v4]) + (v6 == nil ? [] : [.v6]) }
}
