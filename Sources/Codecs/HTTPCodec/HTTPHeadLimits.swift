/// How large the head of a message may be.
public struct HTTPHeadLimits: Equatable, Sendable {
    /// The start line and all field lines together.
    public var maxBytes: Int
    /// The target of a request.
    public var maxTargetBytes: Int
    public var maxFields: Int

    public init(maxBytes: Int = 32_768, maxTargetBytes: Int = 8192, maxFields: Int = 100) {
        self.maxBytes = maxBytes
        self.maxTargetBytes = maxTargetBytes
        self.maxFields = maxFields
    }
}
