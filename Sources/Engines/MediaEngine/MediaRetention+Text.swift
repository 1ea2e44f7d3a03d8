package import Wire

extension MediaRetention {
    package static let `default` = MediaRetention.seconds(30 * 86_400)
    /// A year and a day; longer is `pinned`. A central may be configured to keep less, and then does.
    package static let maximumSeconds: Int64 = 366 * 86_400
    /// For problem details.
    package static let allowed = "24h, 30d, pinned, or seconds from 1 to \(maximumSeconds)"

    /// `24h`, `30d`, `pinned`, or whole seconds.
    package init?(_ text: some StringProtocol) {
        switch text {
        case "24h": self = .seconds(86_400)
        case "30d": self = .seconds(30 * 86_400)
        case "pinned": self = .pinned
        default:
            guard text.utf8.allSatisfy({ (48...57).contains($0) }), let seconds = Int64(text),
                (1...Self.maximumSeconds).contains(seconds)
            else { return nil }
            self = .seconds(seconds)
        }
    }

    /// Nil when pinned.
    package var seconds: Int64? {
        if case .seconds(let seconds) = self { seconds } else { nil }
    }
}
