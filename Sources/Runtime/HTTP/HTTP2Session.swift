import CNGHTTP2

/// One session of libnghttp2 on the server's side: bytes in, frames out, callbacks into one `HTTP2Connection`. Owner of an
/// nghttp2_session.
///
/// Belongs to one connection and so to one loop.
final class HTTP2Session {
    let pointer: OpaquePointer

    init(_ configuration: HTTPServer.Configuration) {
        let limits = configuration.http2
        var option: OpaquePointer?
        nghttp2_option_new(&option)
        defer { nghttp2_option_del(option) }
        // Credit is given when a handler has read, not when bytes have come.
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_continuations(option, limits.maxContinuationFrames)
        nghttp2_option_set_max_outbound_ack(option, limits.maxPings + limits.maxSettingsFrames)
        var created: OpaquePointer?
        let result = nghttp2_session_server_new2(&created, HTTP2Callbacks.shared.pointer, nil, option)
        guard result == 0, let created else { preconditionFailure("no memory for a session") }
        pointer = created
        let settings = [
            Self.setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams),
            Self.setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.streamWindowBytes),
            Self.setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, configuration.maxHeadBytes),
            Self.setting(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1),
        ]
        nghttp2_submit_settings(pointer, 0, settings, settings.count)
        nghttp2_session_set_local_window_size(pointer, 0, 0, Int32(limits.connectionWindowBytes))
    }

    deinit { nghttp2_session_del(pointer) }

    private static func setting(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
        nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(value))
    }

    /// Whether anything could still happen on the connection.
    var isAlive: Bool { nghttp2_session_want_read(pointer) != 0 || nghttp2_session_want_write(pointer) != 0 }

    /// Whether frames wait that may be sent now.
    var wantsToWrite: Bool { nghttp2_session_want_write(pointer) != 0 }

    /// Takes bytes from the peer, and calls back for what they hold.
    ///
    /// - Returns: 0, or the error (nghttp2_error) that ends the connection.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        let count = nghttp2_session_mem_recv(
            pointer, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        return count < 0 ? Int32(count) : 0
    }

    /// The next frames that are no DATA, which are handed to the connection instead; empty when there are none.
    func nextOutput() -> UnsafeBufferPointer<UInt8> {
        var start: UnsafePointer<UInt8>?
        let count = nghttp2_session_mem_send(pointer, &start)
        return UnsafeBufferPointer(start: start, count: max(0, count))
    }
}
