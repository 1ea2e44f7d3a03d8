import Base

/// What the service counts.
final class MediaMetrics: Sendable {
    let uploadedBytes: Counter
    let registeredUploads: Counter
    let servedBytes: Counter
    let fills: Counter
    let failedFills: Counter
    let filledBytes: Counter
    let thumbnails: Counter
    let failedThumbnails: Counter

    init(_ registry: MetricsRegistry) {
        uploadedBytes = registry.counter("skerry_media_uploaded_bytes_total", "Bytes of uploads made durable.")
        registeredUploads = registry.counter(
            "skerry_media_uploads_registered_total", "Uploads entered in the directory.")
        servedBytes = registry.counter("skerry_media_served_bytes_total", "Bytes of media sent to clients.")
        fills = registry.counter("skerry_media_fills_total", "Objects fetched from siblings.", labels: ["result": "ok"])
        failedFills = registry.counter(
            "skerry_media_fills_total", "Objects fetched from siblings.", labels: ["result": "failed"])
        filledBytes = registry.counter("skerry_media_filled_bytes_total", "Bytes fetched from siblings.")
        thumbnails = registry.counter("skerry_media_thumbnails_total", "Thumbnails made.", labels: ["result": "ok"])
        failedThumbnails = registry.counter(
            "skerry_media_thumbnails_total", "Thumbnails made.", labels: ["result": "failed"])
    }
}
