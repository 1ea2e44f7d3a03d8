package import Base
package import Crypto
import Synchronization

/// What a node gets for its enrolment token.
package struct IssuedCertificate: Equatable, Sendable {
    package let identity: NodeIdentity
    package let certificatePEM: String
    package let authorityPEM: String
}

/// Gives nodes their certificates, for enrolment tokens.
package final class EnrolmentAuthority: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// How long a node's certificate is valid.
        package var certificateLifeDays = 365
        /// Attempts to enrol per minute, good or bad, over all nodes.
        package var maxAttemptsPerMinute = 60

        package init() {}
    }

    private let configuration: Configuration
    private let cluster: String
    let authority: CertificateAuthority
    private let store: EnrolmentStore
    private let now: @Sendable () -> WallTime
    private let attempts: Mutex<(minute: Int64, count: Int)>
    private let logger: Logger

    package init(
        configuration: Configuration, cluster: String, authority: CertificateAuthority, store: EnrolmentStore,
        logger: Logger, now: @escaping @Sendable () -> WallTime
    ) {
        self.configuration = configuration
        self.cluster = cluster
        self.authority = authority
        self.store = store
        self.logger = logger
        self.now = now
        attempts = Mutex((minute: 0, count: 0))
    }

    /// - Throws: `EdgeError`: `.unauthenticated` for a token that is not good, `.invalid` for a bad request (the token stays
    ///   good), `.exhausted` after too many attempts.
    package func issue(token text: String, requestPEM: String) async throws -> IssuedCertificate {
        let now = now()
        try countAttempt(now)
        guard let token = EnrolmentToken(text), token.cluster == cluster else { throw Self.badToken }
        let authority = authority
        let validity = Duration.seconds(Int64(configuration.certificateLifeDays) * 86_400)
        let issued = try await store.use(token, now: now) { identity in
            do {
                let certificate = try authority.sign(
                    requestPEM: requestPEM, names: CertificateNames(uri: identity.uri), now: now, validity: validity)
                return IssuedCertificate(
                    identity: identity, certificatePEM: certificate, authorityPEM: authority.certificatePEM)
            } catch {
                throw EdgeError(
                    .invalid, "the certificate request is not a signed PKCS#10 request in PEM", cause: error)
            }
        }
        guard let issued else { throw Self.badToken }
        logger.notice("a node was enrolled", metadata: ["node": issued.identity.uri])
        return issued
    }

    private func countAttempt(_ now: WallTime) throws {
        let isAllowed = attempts.withLock { attempts in
            let minute = now.seconds / 60
            if attempts.minute != minute { attempts = (minute, 0) }
            attempts.count += 1
            return attempts.count <= configuration.maxAttemptsPerMinute
        }
        guard isAllowed else {
            throw EdgeError(.exhausted, "too many attempts to enrol; try again in a minute", isRetryable: true)
        }
    }

    private static let badToken = EdgeError(
        .unauthenticated, "the enrolment token is unknown, used or expired; make another with edgectl enroll token")
}
