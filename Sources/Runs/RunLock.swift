public import Diagnostics
import Foundation

/// The right to train one run, held by at most one process: an advisory lock on a file, which the system releases with the
/// process however that ends. The file's contents tell others how far the holder is.
public final class RunLock {
  /// What the holder last wrote about itself.
  public struct Holder: Codable, Equatable, Sendable {
    /// Its number on `host`; 0 of a holder that has not written yet.
    public var process: Int32
    /// By its network name, "unknown" where the system tells none; empty of a holder that has not written yet.
    public var host: String
    /// Steps done, of all sessions together; 0 of a holder that has not written yet.
    public var step: Int
    /// Of the whole run; 0 of a holder that has not written yet.
    public var totalSteps: Int
    /// Training images over the last steps; 0 before the first.
    public var imagesPerSecond: Double
    /// Top-1 accuracy in [0, 1] on the training batches of the epoch so far; nil before the first step.
    public var topOne: Double?
    /// Frozen / freezable weights; nil before the first step.
    public var frozenShare: Double?
    /// False once anything else of this program trained on the machine at the same time.
    public var exclusive: Bool
    /// When the run began, over all its sessions; ISO 8601, UTC.
    public var started: String

    /// This process, as far as it is.
    public init(
      step: Int, totalSteps: Int, imagesPerSecond: Double, topOne: Double? = nil, frozenShare: Double? = nil,
      exclusive: Bool, started: String
    ) {
      process = getpid()
      host = hostName
      self.step = step
      self.totalSteps = totalSteps
      self.imagesPerSecond = imagesPerSecond
      self.topOne = topOne
      self.frozenShare = frozenShare
      self.exclusive = exclusive
      self.started = started
    }

    /// A holder that has not written yet.
    fileprivate static let unknown: Holder = {
      var holder = Holder(step: 0, totalSteps: 0, imagesPerSecond: 0, exclusive: false, started: "")
      (holder.process, holder.host) = (0, "")
      return holder
    }()

    /// Whether this program can have written it: anybody may have edited the file.
    fileprivate var isPlausible: Bool {
      let steps = 0...Int(Int32.max)
      let shares = [topOne, frozenShare].compactMap(\.self)
      return steps.contains(step) && steps.contains(totalSteps) && imagesPerSecond.isFinite && imagesPerSecond >= 0
        && shares.allSatisfy((0...1).contains)
    }

    /// For people: "process 4711 on node3", "another process" of one that has not written yet.
    public var name: String { process == 0 ? "another process" : "process \(process) on \(host)" }
  }

  private let descriptor: Int32
  /// What the holder before this one wrote last, nil where there was none.
  public let previousHolder: Holder?

  /// Takes the lock, or returns nil where another process (or another lock of this one) holds it.
  public init?(path: String) throws(Diagnostic) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw Diagnostic(system: "create", path: path, code: errno) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      close(descriptor)
      if code == EWOULDBLOCK { return nil }
      throw Diagnostic(system: "lock", path: path, code: code)
    }
    self.descriptor = descriptor
    previousHolder = Self.lastHolder(at: path)
    // From here on it is this process that holds the lock, as far as the run was before.
    if var holder = previousHolder {
      (holder.process, holder.host) = (getpid(), hostName)
      publish(holder)
    }
  }

  deinit { close(descriptor) }

  /// Tells others how far this process is. A failure only costs them that, so it is not reported.
  public func publish(_ holder: Holder) {
    guard let data = try? JSONEncoder().encode(holder) else { return }
    data.withUnsafeBytes { bytes in
      // Written first and cut after, so that a reader never meets an empty file.
      if pwrite(descriptor, bytes.baseAddress, bytes.count, 0) == bytes.count {
        _ = ftruncate(descriptor, off_t(bytes.count))
      }
    }
  }

  /// Who holds the lock at `path` now; nil where nobody does. Of one that has not written yet, only that there is one.
  public static func currentHolder(at path: String) -> Holder? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    // Where the file system has no locks nobody can hold one.
    guard flock(descriptor, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
    return lastHolder(at: path) ?? .unknown
  }

  /// What the last holder of the lock at `path` wrote, whether it still holds it or not; nil where nothing of use is there.
  public static func lastHolder(at path: String) -> Holder? {
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)),
      let holder = try? JSONDecoder().decode(Holder.self, from: data), holder.isPlausible
    else { return nil }
    return holder
  }
}

/// Whether this process is the only one of the program that trains on this machine: seconds measured beside others are
/// not worth comparing.
final class MachinePresence {
  private let descriptor: Int32

  init() {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("spqat-training.lock").path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    if descriptor >= 0 { flock(descriptor, LOCK_SH) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  var isAlone: Bool {
    guard othersShare <= Self.tolerance else { return false }
    guard descriptor >= 0 else { return true }
    let alone = flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK
    flock(descriptor, LOCK_SH)
    return alone
  }

  /// What other processes may use of the processors before seconds stop counting as measured.
  private static let tolerance = 0.08
  /// Too little time to tell from.
  private static let shortest = 5.0

  private let start = Usage.now()

  /// The processors' time, since this object was made, that other processes (and other guests of the host) used: 0 where
  /// the system does not say.
  private var othersShare: Double {
    guard let start, let now = Usage.now() else { return 0 }
    let total = now.total - start.total
    guard total >= Self.shortest * Double(ProcessInfo.processInfo.processorCount) else { return 0 }
    return max(0, (now.busy - start.busy) - (now.own - start.own)) / total
  }

  /// Seconds of processor time since the machine was started, and of this process.
  private struct Usage {
    var busy: Double
    var total: Double
    var own: Double

    static func now() -> Usage? {
      guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
        let line = text.split(separator: "\n").first, line.hasPrefix("cpu ")
      else { return nil }
      // user, nice, system, idle, iowait, irq, softirq, steal
      let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
      guard ticks.count == 8 else { return nil }
      let second = Double(sysconf(Int32(_SC_CLK_TCK)))
      let total = ticks.reduce(0, +)
      var own = timespec()
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own)
      return Usage(
        busy: (total - ticks[3] - ticks[4]) / second, total: total / second,
        own: Double(own.tv_sec) + Double(own.tv_nsec) * 1e-9)
    }
  }
}

let hostName: String = {
  var bytes = [CChar](repeating: 0, count: 256)
  guard gethostname(&bytes, bytes.count - 1) == 0 else { return "unknown" }
  return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}()
