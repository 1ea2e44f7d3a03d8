import Base
import Wire

extension ValueForm where Value == String {
    static func text(_ placeholder: String) -> ValueForm {
        ValueForm(placeholder: placeholder, allowed: "a text that is not empty") { $0.isEmpty ? nil : $0 }
    }

    static let path = text("PATH")

    /// Of a tenant, a user, or what else is named by these characters.
    static func name(_ placeholder: String) -> ValueForm {
        ValueForm(placeholder: placeholder, allowed: "1 to 64 of A-Z a-z 0-9 . _ -") { isIdentityName($0) ? $0 : nil }
    }

    static func oneOf(_ values: [String]) -> ValueForm {
        ValueForm(placeholder: values.joined(separator: "|"), allowed: "one of " + values.joined(separator: ", ")) {
            values.contains($0) ? $0 : nil
        }
    }
}

extension ValueForm where Value == Int {
    static func count(_ placeholder: String = "N", in range: ClosedRange<Int>) -> ValueForm {
        ValueForm(placeholder: placeholder, allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)") {
            Int($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension ValueForm where Value == Duration {
    /// `500ms`, `30s`, `5m`, `24h`, `30d`; a bare number is seconds.
    static let duration = ValueForm(
        placeholder: "DURATION", allowed: "a duration such as 500ms, 30s, 5m, 24h or 30d (a bare number is seconds)"
    ) { text in
        let units: [(suffix: String, milliseconds: Int64)] = [
            ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("", 1000),
        ]
        for unit in units where text.hasSuffix(unit.suffix) {
            guard let number = Int64(text.dropLast(unit.suffix.utf8.count)), number >= 0 else { continue }
            let (value, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
            return overflow ? nil : .milliseconds(value)
        }
        return nil
    }
}

extension ValueForm where Value == MediaID {
    static let media = ValueForm(placeholder: "MEDIA", allowed: "64 lowercase hexadecimal digits") { MediaID($0) }
}

extension ValueForm where Value == UUID {
    static let uuid = ValueForm(placeholder: "ID", allowed: "a UUID") { UUID($0) }
}

extension ValueForm where Value == PeerAddress {
    static let peer = ValueForm(placeholder: "TO", allowed: "a user, user/device, or group:<id>") { PeerAddress($0) }
}

extension ValueForm where Value == [String] {
    static let users = ValueForm(placeholder: "USER,USER", allowed: "names separated by commas") { text in
        let users = text.split(separator: ",").map(String.init)
        return !users.isEmpty && users.allSatisfy { isIdentityName($0) } ? users : nil
    }
}
