import CNGHTTP2

/// The functions that libnghttp2 calls; each passes on to the connection that the session belongs to. Owner of an
/// nghttp2_session_callbacks.
///
/// `@unchecked Sendable`: not changed after `init`; sessions copy it.
final class HTTP2Callbacks: @unchecked Sendable {
    static let shared = HTTP2Callbacks()

    let pointer: OpaquePointer

    private init() {
        var created: OpaquePointer?
        guard nghttp2_session_callbacks_new(&created) == 0, let created else {
            preconditionFailure("no memory for callbacks")
        }
        pointer = created
        nghttp2_session_callbacks_set_on_begin_frame_callback(pointer) { _, header, owner in
            guard let header else { return 0 }
            return result(connection(owner).frameBegins(header.pointee))
        }
        nghttp2_session_callbacks_set_on_begin_headers_callback(pointer) { _, _, owner in
            connection(owner).headBegins()
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(pointer) {
            _, _, name, nameCount, value, valueCount, _, owner in
            result(
                connection(owner).fieldArrived(
                    name: UnsafeBufferPointer(start: name, count: nameCount),
                    value: UnsafeBufferPointer(start: value, count: valueCount)))
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(pointer) { _, frame, owner in
            guard let frame else { return 0 }
            return result(connection(owner).frameArrived(frame.pointee))
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(pointer) { _, _, _, owner in
            result(connection(owner).faultArrived())
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(pointer) { _, _, id, bytes, count, owner in
            connection(owner).dataArrived(UnsafeBufferPointer(start: bytes, count: count), for: id)
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(pointer) { _, id, code, owner in
            connection(owner).streamClosed(id, code: code)
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(pointer) { _, frame, owner in
            if let frame { connection(owner).frameWasSent(frame.pointee) }
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(pointer) { _, frame, header, count, source, owner in
            guard let frame, let header, let exchange = source?.pointee.ptr else { return sendingFailed }
            return connection(owner).sendData(
                of: Unmanaged<HTTP2Exchange>.fromOpaque(exchange).takeUnretainedValue(),
                header: UnsafeBufferPointer(start: header, count: 9), padding: frame.pointee.data.padlen, count: count)
        }
    }

    deinit { nghttp2_session_callbacks_del(pointer) }

    /// Where the DATA frames of an answer come from. The exchange lives as long as its stream.
    static func provider(for exchange: HTTP2Exchange) -> nghttp2_data_provider {
        nghttp2_data_provider(
            source: nghttp2_data_source(ptr: Unmanaged.passUnretained(exchange).toOpaque()),
            read_callback: { _, _, _, length, flags, source, _ in
                guard let flags, let pointer = source?.pointee.ptr else { return Int(sendingFailed) }
                let exchange = Unmanaged<HTTP2Exchange>.fromOpaque(pointer).takeUnretainedValue()
                guard let (count, isLast) = exchange.offer(upTo: length) else {
                    return Int(NGHTTP2_ERR_DEFERRED.rawValue)
                }
                if count > 0 { flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue }
                if isLast { flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
                return count
            })
    }
}

/// Ends the stream alone.
private let sendingFailed = NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue

private func connection(_ owner: UnsafeMutableRawPointer?) -> HTTP2Connection {
    guard let owner else { preconditionFailure("a session has a connection") }
    return Unmanaged<HTTP2Connection>.fromOpaque(owner).takeUnretainedValue()
}

/// What a callback returns; false ends the connection.
private func result(_ goesOn: Bool) -> Int32 { goesOn ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
