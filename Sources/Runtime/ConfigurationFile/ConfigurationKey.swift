/// A key that a configuration knows, as its own reading code tells it.
package struct ConfigurationKey: Equatable, Sendable {
    /// With its sections: `media.max_open_uploads`, `identity.keys[].kid`.
    package let path: String
    /// What may stand there, in words.
    package let allowed: String
    /// The default as it would be written; nil when there is none.
    package let defaultText: String?
    package let isRequired: Bool
}

/// The key that is written most like another, when it is near enough to be meant.
func nearestName(to name: String, among names: some Sequence<String>) -> String? {
    let distances = names.map { (name: $0, distance: editDistance(name, $0)) }
    guard let best = distances.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }),
        best.distance <= max(2, name.utf8.count / 2)
    else { return nil }
    return best.name
}

/// Levenshtein's distance over bytes.
private func editDistance(_ left: String, _ right: String) -> Int {
    let right = Array(right.utf8.prefix(100))
    var row = Array(0...right.count)
    for (index, byte) in left.utf8.prefix(100).enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for column in right.indices {
            let replaced = diagonal + (right[column] == byte ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
        }
    }
    return row[right.count]
}
