package import Wire

extension MediaMode {
    /// The byte that stands for the mode in associated data and in stored records.
    package var byte: UInt8 { self == .managed ? 1 : 2 }

    package init?(byte: UInt8) {
        switch byte {
        case 1: self = .managed
        case 2: self = .sealed
        default: return nil
        }
    }
}
