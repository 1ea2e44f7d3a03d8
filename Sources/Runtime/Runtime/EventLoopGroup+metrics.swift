public import Base

extension EventLoopGroup {
    /// Lists what the loops count, one series per loop, and the files that they had to wait for.
    public func register(in metrics: MetricsRegistry) {
        metrics.computedCounter(
            "skerry_file_loads_total", "Parts of files that the page cache did not have and a thread read in",
            labels: [:]
        ) { [fileReads] in fileReads.loads.value }
        for loop in loops {
            let index = "\(loop.index)"
            func counter(_ name: String, _ help: String, _ value: @escaping @Sendable () -> UInt64) {
                metrics.computedCounter("skerry_loop_\(name)_total", help, labels: ["loop": index], value)
            }
            counter("iterations", "Times around the loop") { loop.counters.iterations.value }
            counter("events", "Descriptors that were ready") { loop.counters.events.value }
            counter("jobs", "Jobs of tasks, and closures, run") { loop.counters.jobs.value }
            counter("timers", "Timers fired") { loop.counters.timers.value }
            counter("stalls", "Callbacks that were too long for the watchdog") { loop.counters.stalls.value }
            counter("accept_pauses", "Pauses of a listener for want of a descriptor") {
                loop.counters.acceptPauses.value
            }
            metrics.computed(
                "skerry_loop_longest_callback_seconds", "The longest callback since this was last read",
                labels: ["loop": index]
            ) { Double(loop.counters.takeLongestCallback().nanoseconds) / 1e9 }
        }
    }
}
