import Glibc
import WorkerProtocol

// Started by an edge for one job, with one end of a socket pair; see WorkerProtocol for what is said over it.

guard CommandLine.arguments.count == 2, let descriptor = Int32(CommandLine.arguments[1]), descriptor >= 3 else {
    let usage = """
        usage: media-worker DESCRIPTOR

        Makes one thumbnail in a sandbox. edge-node starts it, with a socket as that descriptor;
        there is nothing to be done with it by hand.

        """
    _ = write(STDERR_FILENO, usage, usage.utf8.count)
    exit(64)  // EX_USAGE
}

let channel = EdgeChannel(descriptor: descriptor)
let answer: WorkerMessage
do {
    guard case .job(let job) = try channel.receive(maxBodyBytes: 64) else { throw WorkerFailure.job }
    try Sandbox.enter(keeping: descriptor, limits: job.limits)
    let input = InputChannel(
        channel: channel, size: Int64(job.inputBytes), maxInputBytes: job.limits.maxInputBytes)
    switch job.kind {
    case .thumbnail: answer = try Thumbnail.make(job, from: input)
    }
} catch {
    answer = .failed(error as? WorkerFailure ?? .job)
}
// An edge that is gone needs no answer.
try? channel.send(answer)
// Not `exit`: what libraries registered to run at the end would be stopped by the sandbox.
_exit(0)
