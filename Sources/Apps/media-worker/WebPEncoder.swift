import CWebP
import WorkerProtocol

/// A picture in libwebp's hands, and what it is encoded to. No metadata goes in.
final class WebPEncoder {
    private let picture: UnsafeMutablePointer<WebPPicture>
    private let output: UnsafeMutablePointer<WebPMemoryWriter>

    init(_ bitmap: Bitmap) throws(WorkerFailure) {
        picture = .allocate(capacity: 1)
        picture.initialize(to: WebPPicture())
        output = .allocate(capacity: 1)
        output.initialize(to: WebPMemoryWriter())
        WebPMemoryWriterInit(output)
        guard WebPPictureInit(picture) != 0 else { throw .unsupported }
        picture.pointee.width = Int32(bitmap.width)
        picture.pointee.height = Int32(bitmap.height)
        let imported = bitmap.pixels.withUnsafeBytes { pixels in
            let bytes = pixels.baseAddress?.assumingMemoryBound(to: UInt8.self)
            let rowBytes = Int32(4 * bitmap.width)
            return bitmap.hasAlpha
                ? WebPPictureImportRGBA(picture, bytes, rowBytes) : WebPPictureImportRGBX(picture, bytes, rowBytes)
        }
        guard imported != 0 else { throw .limit }
    }

    deinit {
        WebPPictureFree(picture)
        WebPMemoryWriterClear(output)
        picture.deallocate()
        output.deallocate()
    }

    /// - Parameter quality: libwebp's, 0 to 100.
    func encode(quality: UInt8, maxOutputBytes: UInt32) throws(WorkerFailure) -> [UInt8] {
        var configuration = WebPConfig()
        guard WebPConfigPreset(&configuration, WEBP_PRESET_PHOTO, Float(quality)) != 0 else { throw .job }
        configuration.thread_level = 0
        picture.pointee.writer = WebPMemoryWrite
        picture.pointee.custom_ptr = UnsafeMutableRawPointer(output)
        guard WebPEncode(&configuration, picture) != 0, output.pointee.size <= Int(maxOutputBytes) else { throw .limit }
        return [UInt8](UnsafeBufferPointer(start: output.pointee.mem, count: output.pointee.size))
    }
}
