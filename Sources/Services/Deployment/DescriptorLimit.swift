import Glibc

/// How many descriptors the process may have open.
enum DescriptorLimit {
    /// More than any node needs: some hosts allow a thousand times that, which only misleads who goes through them all.
    private static let most: rlim_t = 1 << 20

    /// Raises the limit as far as the process itself may. Shells and systemd begin with 1,024, for programs that use
    /// `select`; connections, allocations and files need more than that.
    ///
    /// - Returns: the limit, nil if it is not known.
    @discardableResult
    static func raise() -> Int? {
        var limit = rlimit()
        guard getrlimit(RLIMIT_NOFILE.kind, &limit) == 0 else { return nil }
        let wanted = min(limit.rlim_max, most)
        if limit.rlim_cur < wanted {
            let before = limit.rlim_cur
            limit.rlim_cur = wanted
            if setrlimit(RLIMIT_NOFILE.kind, &limit) != 0 { limit.rlim_cur = before }
        }
        return Int(clamping: limit.rlim_cur)
    }
}

extension __rlimit_resource {
    /// As the functions want it.
    fileprivate var kind: __rlimit_resource_t { __rlimit_resource_t(rawValue) }
}
