public import STUN

/// Why a datagram went nowhere.
public enum RelayDropReason: Int, CaseIterable, Sendable {
    case malformed
    case rateLimited
    case noAllocation
    case noPermission
    case noChannel
    case peerRefused
    /// Over the bandwidth of the user, the tenant or the node.
    case overBandwidth
    case tooLarge
    /// A client over TCP or TLS does not read what it is sent.
    case clientTooSlow
    /// A peer has connected to an allocation that has a connection with it, or as many as it may.
    case tooManyConnections

    /// The value of the metric's label.
    public var label: String {
        switch self {
        case .malformed: "malformed"
        case .rateLimited: "rate_limited"
        case .noAllocation: "no_allocation"
        case .noPermission: "no_permission"
        case .noChannel: "no_channel"
        case .peerRefused: "peer_refused"
        case .overBandwidth: "over_bandwidth"
        case .tooLarge: "too_large"
        case .clientTooSlow: "client_too_slow"
        case .tooManyConnections: "too_many_connections"
        }
    }
}

/// Plain counts of one event loop, which the service carries into the metrics now and then.
public struct RelayStatistics: Sendable {
    /// The error codes that the engine answers with, in the order of `errors`.
    public static let errorCodes: [STUNErrorCode] = [
        .tryAlternate, .badRequest, .unauthenticated, .forbidden, .mobilityForbidden, .unknownAttribute,
        .allocationMismatch, .staleNonce, .addressFamilyNotSupported, .wrongCredentials, .unsupportedTransport,
        .peerAddressFamilyMismatch, .connectionAlreadyExists, .connectionTimeoutOrFailure, .allocationQuotaReached,
        .serverError, .insufficientCapacity,
    ]

    /// What was relayed, by the client's transport.
    public internal(set) var traffic = InlineArray<4, RelayTraffic>(repeating: RelayTraffic())
    public internal(set) var bindings = InlineArray<4, UInt64>(repeating: 0)
    public internal(set) var allocationsOpened = InlineArray<4, UInt64>(repeating: 0)
    /// By `RelayEngine.EndReason.rawValue`.
    public internal(set) var allocationsClosed = [UInt64](repeating: 0, count: RelayEngine.EndReason.allCases.count)
    /// Allocations whose client has come from another 5-tuple (RFC 8016).
    public internal(set) var moves: UInt64 = 0
    /// What the network said about datagrams to peers, and clients were told.
    public internal(set) var networkErrors: UInt64 = 0
    /// By `RelayDropReason.rawValue`.
    public internal(set) var drops = [UInt64](repeating: 0, count: RelayDropReason.allCases.count)
    /// By transport, and in that by code.
    public internal(set) var errors = [UInt64](
        repeating: 0, count: FiveTuple.Transport.allCases.count * errorCodes.count)

    public init() {}

    mutating func drop(_ reason: RelayDropReason) { drops[reason.rawValue] += 1 }

    mutating func error(_ code: STUNErrorCode, over transport: FiveTuple.Transport) {
        guard let index = Self.errorCodes.firstIndex(of: code) else { return }
        errors[Int(transport.rawValue) * Self.errorCodes.count + index] += 1
    }
}
