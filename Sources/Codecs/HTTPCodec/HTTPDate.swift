public import Base

/// The dates of HTTP (RFC 9110 section 5.6.7).
public enum HTTPDate {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `Sun, 06 Nov 1994 08:49:37 GMT`. Times outside the years 1970 to 9999 are moved to its ends.
    public static func format(_ time: WallTime) -> String {
        let seconds = min(max(time.seconds, 0), 253_402_300_799)
        let (days, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = civil(fromDays: days)
        func padded(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let clock = [second / 3600, second / 60 % 60, second % 60].map(padded).joined(separator: ":")
        return "\(weekdays[Int(days % 7)]), \(padded(day)) \(months[Int(month) - 1]) \(year) \(clock) GMT"
    }

    /// Parses the one form that is sent today; nil for the obsolete ones and all else, which counts as no date.
    public static func parse(_ text: String) -> WallTime? {
        let characters = Array(text.utf8)
        guard characters.count == 29, text.hasSuffix(" GMT") else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            characters[range].allSatisfy { (48...57).contains($0) }
                ? characters[range].reduce(0) { $0 * 10 + Int64($1 - 48) } : nil
        }
        func word(_ range: Range<Int>) -> String { String(decoding: characters[range], as: UTF8.self) }
        guard weekdays.contains(word(0..<3)), word(3..<5) == ", ", let day = number(5..<7), let year = number(12..<16),
            let month = months.firstIndex(of: word(8..<11)), (1...31).contains(day), year >= 1970,
            let hour = number(17..<19), let minute = number(20..<22), let second = number(23..<25),
            hour < 24, minute < 60, second <= 60,
            [7, 11, 16].allSatisfy({ characters[$0] == 0x20 }), characters[19] == 0x3A, characters[22] == 0x3A
        else { return nil }
        let days = days(year: year, month: Int64(month + 1), day: day)
        return WallTime(seconds: days * 86_400 + hour * 3600 + minute * 60 + second)
    }

    // The proleptic Gregorian calendar in eras of 400 years, whose years begin in March.
    private static func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
