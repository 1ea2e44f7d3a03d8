import Base
import CNGHTTP2
import HTTPCodec
import Runtime

/// What libnghttp2 tells of the frames that come and go. Where a function returns whether to go on, false ends the connection.
extension HTTP2Connection {
    func frameBegins(_ header: nghttp2_frame_hd) -> Bool {
        let frame: HTTP2AbuseGuard.Frame
        switch UInt32(header.type) {
        case NGHTTP2_DATA.rawValue:
            let ends = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
            frame = .data(isEmpty: header.length == 0 && !ends)
        case NGHTTP2_RST_STREAM.rawValue: frame = .reset
        case NGHTTP2_SETTINGS.rawValue: frame = .settings
        case NGHTTP2_PING.rawValue: frame = .ping
        case NGHTTP2_WINDOW_UPDATE.rawValue: frame = .windowUpdate
        case NGHTTP2_PRIORITY.rawValue: frame = .priority
        default: frame = .other
        }
        return goesOn(guardian.receive(frame))
    }

    private func goesOn(_ broken: HTTP2AbuseGuard.Reason?) -> Bool {
        guard let broken else { return true }
        abuse = broken
        return false
    }

    /// A frame that breaks the protocol, for which libnghttp2 resets its stream or ends the connection.
    func faultArrived() -> Bool {
        // A head that is at fault is not told of when it is whole.
        headDeadline = nil
        return goesOn(guardian.receiveFault())
    }

    // MARK: Heads

    func headBegins() {
        head = HTTP2Head()
        headDeadline = deadline(after: configuration.headTimeoutMs)
    }

    func fieldArrived(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) -> Bool {
        head.append(name: name, value: value, limits: configuration.headLimits)
        return goesOn(head.byteCount > 4 * configuration.maxHeadBytes ? .headerList : nil)
    }

    func frameArrived(_ frame: nghttp2_frame) -> Bool {
        let endsStream = frame.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch UInt32(frame.hd.type) {
        case NGHTTP2_HEADERS.rawValue:
            headDeadline = nil
            if frame.headers.cat == NGHTTP2_HCAT_REQUEST {
                requestArrived(frame.hd.stream_id, isWhole: endsStream)
            } else if endsStream {
                trailersArrived(frame.hd.stream_id)
            }
        case NGHTTP2_DATA.rawValue where endsStream: exchanges[frame.hd.stream_id]?.incoming.end()
        case NGHTTP2_DATA.rawValue where frame.hd.length > 0 && frame.data.padlen >= frame.hd.length:
            // Nothing but padding.
            return goesOn(guardian.receive(.data(isEmpty: true)))
        case NGHTTP2_SETTINGS.rawValue where exchanges.isEmpty && headDeadline != nil:
            headDeadline = nil
            becameIdle()
        default: break
        }
        return true
    }

    private func trailersArrived(_ id: Int32) {
        guard let body = exchanges[id]?.incoming else { return }
        guard head.byteCount <= configuration.maxTrailerBytes, head.fields.count <= configuration.maxTrailerFields
        else {
            return body.fail(HTTPParsingError.trailersTooLarge)
        }
        body.end(trailers: head.fields)
    }

    private func requestArrived(_ id: Int32, isWhole: Bool) {
        // Handlers whose streams were reset count until they have ended: resetting frees no place. What comes behind the last
        // request that GOAWAY names is sent again elsewhere.
        if isDraining || isEnding || handlerCount >= 2 * configuration.http2.maxConcurrentStreams {
            return reset(id, NGHTTP2_REFUSED_STREAM)
        }
        let (request, refusal) = head.request()
        let expectsContinue = head.expectsContinue
        head = HTTP2Head()
        let body = HTTP2Body(
            on: self, id: id, length: request.fields["Content-Length"].flatMap { Int($0) }, hasEnded: isWhole,
            awaitsContinue: expectsContinue)
        serve(HTTP2Exchange(id, request, refusal: refusal, body: body, on: self))
        requestCount += 1
        if requestCount == configuration.maxRequestsPerConnection { drain() }
    }

    // MARK: Bodies

    func dataArrived(_ bytes: UnsafeBufferPointer<UInt8>, for id: Int32) {
        if let exchange = exchanges[id] {
            exchange.incoming.append(bytes)
        } else {
            consume(bytes.count, of: id)
        }
    }

    /// Gives the peer credit for bytes that were read.
    func consume(_ count: Int, of id: Int32) {
        guard !hasEnded else { return }
        nghttp2_session_consume(session.pointer, id, count)
        if session.wantsToWrite { wakeSender() }
    }

    // MARK: Streams

    func streamClosed(_ id: Int32, code: UInt32) {
        guard let exchange = exchanges.removeValue(forKey: id) else { return }
        if code == NGHTTP2_NO_ERROR.rawValue {
            exchange.close(nil)
        } else {
            exchange.close(EdgeError(.closed, "the stream was reset while answering", side: .peer, isRetryable: true))
        }
        if exchanges.isEmpty { becameIdle() }
    }

    func frameWasSent(_ frame: nghttp2_frame) {
        guard frame.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0,
            frame.hd.type == UInt8(NGHTTP2_DATA.rawValue) || frame.hd.type == UInt8(NGHTTP2_HEADERS.rawValue)
        else { return }
        guardian.hasAnswered()
        if let exchange = exchanges[frame.hd.stream_id] { stopUpload(of: exchange) }
    }

    /// Appends a DATA frame to the output.
    ///
    /// - Returns: 0, or a number of nghttp2_error.
    func sendData(
        of exchange: HTTP2Exchange, header: UnsafeBufferPointer<UInt8>, padding: Int, count: Int
    ) -> Int32 {
        precondition(padding == 0, "nothing is padded here")
        if output.count >= Self.batchBytes { return NGHTTP2_ERR_WOULDBLOCK.rawValue }
        let start = output.count
        output.append(contentsOf: header)
        guard exchange.take(count, into: &output) else {
            output.removeLast(output.count - start)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        guardian.hasSentData()
        return 0
    }

    // MARK: What exchanges send

    func submit(_ response: HTTPResponse, contentLength: Int?, for exchange: HTTP2Exchange, hasContent: Bool) {
        fieldBlock.begin(status: response.status)
        fieldBlock.append(response.fields)
        if let contentLength { fieldBlock.append(name: "content-length", value: "\(contentLength)") }
        if !response.fields.contains("Date") { fieldBlock.append(name: "date", value: server.date()) }
        fieldBlock.withPairs { pairs, count in
            if hasContent {
                var provider = HTTP2Callbacks.provider(for: exchange)
                nghttp2_submit_response(session.pointer, exchange.id, pairs, count, &provider)
            } else {
                nghttp2_submit_response(session.pointer, exchange.id, pairs, count, nil)
            }
        }
        wakeSender()
    }

    func submitInterim(_ response: HTTPResponse, for id: Int32) {
        fieldBlock.begin(status: response.status)
        fieldBlock.append(response.fields)
        fieldBlock.withPairs { pairs, count in
            _ = nghttp2_submit_headers(session.pointer, 0, id, nil, pairs, count, nil)
        }
        wakeSender()
    }

    func sendContinue(for id: Int32) {
        guard exchanges[id]?.state == .notBegun else { return }
        submitInterim(HTTPResponse(status: 100), for: id)
    }

    /// More of an answer can be had.
    func resume(_ id: Int32) {
        nghttp2_session_resume_data(session.pointer, id)
        wakeSender()
    }

    func reset(_ id: Int32, _ code: nghttp2_error_code) {
        guard !hasEnded else { return }
        nghttp2_submit_rst_stream(session.pointer, 0, id, code.rawValue)
        wakeSender()
    }

    /// Waits until a part of a file can be read without waiting for a disk.
    func load(_ file: Int32, offset: Int, count: Int) async throws {
        do {
            try await loop.fileReads.makeResident(file, offset: Int64(offset), count: count)
        } catch {
            throw EdgeError(.io, "a file could not be read", side: .internal, cause: error)
        }
    }
}
