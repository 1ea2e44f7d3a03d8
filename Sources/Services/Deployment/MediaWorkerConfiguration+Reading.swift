import ConfigurationFile
import MediaWorkerService

extension MediaWorkerPool.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        var path = executablePath.isEmpty ? nil : executablePath
        section.readPath("executable_path", &path)
        executablePath = path ?? ""
        section.read("max_concurrent_jobs", &maxConcurrentJobs, in: 1...1024)
        section.read("max_queue_length", &maxQueueLength, in: 0...100_000)
        section.read("job_timeout_ms", &jobTimeoutMs, in: 100...3_600_000)
        section.read("memory_limit_bytes", &memoryLimitBytes, in: 64 << 20...1 << 36)
        section.read("max_cpu_seconds", &maxCPUSeconds, in: 1...3600)
        section.read("max_pixels", &maxPixels, in: 1...1 << 30)
        section.read("max_input_bytes", &maxInputBytes, in: 1 << 16...1 << 40)
        section.read("max_frames", &maxFrames, in: 1...100_000)
        section.read("max_output_bytes", &maxOutputBytes, in: 1 << 12...1 << 30)
        section.read("quality", &quality, in: 0...100)
    }
}
