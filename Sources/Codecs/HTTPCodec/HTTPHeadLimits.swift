/// How large the head of a message may be.
public struct HTTPHeadLimits: Equatable, Sendable {
    /// The start line and all field lines together.
    public var maxBytes: Int
    public var maxFields: Int

    public init(maxBytes: Int = 32_768, maxFields: Int = 100) {
        self.maxBytes = maxBytes
        self.maxFields = maxFields
    }
}
