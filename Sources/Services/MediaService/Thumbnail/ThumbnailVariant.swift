/// Which thumbnails there are.
enum ThumbnailVariant {
    static let width = 320
    static let name = "thumbnail/320.webp"
    static let contentType = "image/webp"
}
