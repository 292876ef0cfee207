public import Diagnostics
import Foundation

extension Diagnostic {
  /// - Parameter action: what the operating system refused to do, after "cannot".
  init(system action: String, path: String, code: Int32) {
    let remedy =
      switch code {
      case EACCES, EPERM, EROFS: "make the folder writable, or choose another with --results"
      case ENOSPC, EDQUOT: "free some space and run again; what is finished is kept"
      case ENOTDIR, EEXIST: "a file is in the folder's place; move it, or choose another folder with --results"
      case ENOSYS, ENOLCK, EOPNOTSUPP:
        "the file system has no locks (flock), which keep two processes from training one run; choose a folder on another "
          + "with --results"
      default: "choose another folder with --results"
      }
    let isFull = code == ENOSPC || code == EDQUOT
    self.init(
      cause: isFull ? .noSpace : .system, path, "cannot \(action): \(String(cString: strerror(code)))", remedy: remedy)
  }
}

/// Where one experiment's files are: `NAME/runs/ID.h5`, and beside them checkpoints, locks and logs.
public struct ResultsDirectory: Sendable {
  /// The folder that holds all experiments, `results` by default.
  public let root: String
  /// The experiment's name.
  public let name: String

  /// Names the folders; `prepare` makes them.
  public init(root: String, name: String) {
    self.root = root
    self.name = name
  }

  /// `root`/`name`: everything of this experiment but its tables, which lie beside it.
  public var folder: String { "\(root)/\(name)" }
  /// Holds a file for each run that has ended.
  public var runsFolder: String { "\(folder)/runs" }
  /// Written once, when the run has ended.
  public func runFile(_ id: String) -> String { "\(runsFolder)/\(id).h5" }
  /// Gone once the run has ended.
  public func checkpoint(_ id: String) -> String { "\(folder)/checkpoints/\(id).h5" }
  /// The file that `RunLock` locks; it stays when the run has ended.
  public func lock(_ id: String) -> String { "\(folder)/locks/\(id).lock" }
  /// What a job of `--jobs` wrote to standard error.
  public func log(_ id: String) -> String { "\(folder)/logs/\(id).log" }

  /// Makes the folders, and finds out now rather than after an epoch whether they can be written.
  public func prepare() throws(Diagnostic) {
    for part in ["runs", "checkpoints", "locks", "logs"] {
      var path = ""
      for component in "\(folder)/\(part)".split(separator: "/", omittingEmptySubsequences: false) {
        path += path.isEmpty && component.isEmpty ? "/" : (path.isEmpty || path.hasSuffix("/") ? "" : "/") + component
        guard mkdir(path, 0o777) != 0 else { continue }
        let code = errno
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { continue }
        throw Diagnostic(system: "make the folder", path: path, code: code)
      }
      if access(path, W_OK) != 0 { throw Diagnostic(system: "write to the folder", path: path, code: errno) }
    }
  }

  /// Removes what killed processes left of attempts to write the run's file or checkpoint. To be called by who holds the
  /// run's lock, as nobody else writes them.
  func removeAbandonedFiles(of id: String) {
    for folder in [runsFolder, "\(folder)/checkpoints"] {
      for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      where name.hasPrefix(".\(id).h5.") && name.hasSuffix(".tmp") {
        unlink("\(folder)/\(name)")
      }
    }
  }

  /// Removes what a process leaves that is killed between filing a finished run and removing its checkpoint. Does nothing while
  /// another process holds the run, which is about to do so.
  public func removeLeftovers(of id: String) {
    guard FileManager.default.fileExists(atPath: checkpoint(id)), let lock = try? RunLock(path: lock(id)) else {
      return
    }
    withExtendedLifetime(lock) { removeLeftoversOfHeldRun(id) }
  }

  /// The same in a process that holds the run.
  func removeLeftoversOfHeldRun(_ id: String) {
    unlink(checkpoint(id))
    removeAbandonedFiles(of: id)
  }

  /// Ids of the runs that have a file, sorted.
  public var recordedIDs: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: runsFolder)) ?? [])
      .filter { $0.hasSuffix(".h5") && !$0.hasPrefix(".") }.map { String($0.dropLast(3)) }.sorted()
  }
}
