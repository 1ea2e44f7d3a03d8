import ConfigurationFile
package import UplinkService

/// How new nodes get their certificates from the central.
package struct EnrolmentConfiguration: Equatable, Sendable {
    /// The private key of the cluster's authority, in PEM, mode 0600; without it this central enrols nobody.
    package var authorityKeyFile: String?
    /// Where the enrolment tokens stand.
    package var databasePath: String?
    package var authority = EnrolmentAuthority.Configuration()

    package init() {}

    init(_ section: ConfigurationSection) {
        section.readPath("authority_key_file", &authorityKeyFile)
        section.readPath("database_path", &databasePath)
        section.read("certificate_life_days", &authority.certificateLifeDays, in: 1...3650)
        section.read("max_attempts_per_minute", &authority.maxAttemptsPerMinute, in: 1...100_000)
        if (authorityKeyFile == nil) != (databasePath == nil) {
            section.reject("database_path", "and authority_key_file belong together: both, or none")
        }
    }
}
