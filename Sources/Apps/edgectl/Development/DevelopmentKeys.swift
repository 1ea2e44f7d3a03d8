/// Names and places of a development start's keys.
enum DevelopmentKeys {
    static let signingKeyID = "dev"
    static let signedPathKeyID = "dev"
    static let signedPathKeyFile = "signed-path.key"

    /// The secret of signed paths lies in the folder of the key that signs tokens.
    static func signedPathKeyPath(beside signingKeyPath: String) -> String {
        let folder = signingKeyPath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        return (folder.isEmpty ? "" : folder + "/") + signedPathKeyFile
    }
}
