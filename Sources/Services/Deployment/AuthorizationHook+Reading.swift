import ConfigurationFile
import RelayService

extension AuthorizationHook.Configuration {
    /// The secret and the authority are read from their own files, later.
    mutating func read(_ section: ConfigurationSection, _ files: inout RelayCredentialsConfiguration) {
        section.read("url", &url, "a URL of http or https") {
            $0.hasPrefix("https://") || $0.hasPrefix("http://") ? $0 : nil
        }
        section.readPath("secret_file", &files.hookSecretFile)
        section.readPath("authority_file", &files.hookAuthorityFile)
        section.read("allowed_networks", &allowedNetworks, maxCount: 64)
        section.read("timeout_ms", &timeoutMs, in: 10...60_000)
        section.read("max_requests", &maxRequests, in: 1...4_096)
        section.read("max_answer_life_seconds", &maxAnswerLifeSeconds, in: 1...86_400)
        section.read("unknown_life_seconds", &unknownLifeSeconds, in: 1...3_600)
        if url != nil, files.hookSecretFile == nil { section.reject("secret_file", "is missing") }
    }
}
