import Base
import Glibc
import MediaWorkerService
import Testing

/// Every test starts real workers; one at a time, since they look for their own among the children of this process.
@Suite(.serialized, .timeLimit(.minutes(2)))
enum MediaWorkerPoolTests {}
