import Configuration
import Datasets
import Foundation
import Host
import Kernels
import Records
import Storage

extension Provenance {
  /// What is known before training: code, machine, command.
  static func ofThisProcess(threads: Int, commandLine: String) -> Provenance {
    var provenance = Provenance()
    let source = SourceState.current
    provenance.gitCommit = source.commit
    provenance.isDirty = source.isDirty
    provenance.spqatVersion = programVersion
    provenance.algorithmVersion = RunIdentity.algorithmVersion
    provenance.swiftVersion = compilerVersion
    provenance.hdf5Version = Storage.hdf5Version
    provenance.libpngVersion = Datasets.libpngVersion
    provenance.operatingSystem = ProcessInfo.processInfo.operatingSystemVersionString
    provenance.cpuModel = processorName
    provenance.cpuCores = ProcessInfo.processInfo.activeProcessorCount
    provenance.memory = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    provenance.instructionSet = InstructionSet.best.rawValue
    provenance.threads = threads
    provenance.commandLine = commandLine
    return provenance
  }
}

/// This program's version.
public let programVersion = "0.1.0"

/// What `spqat --version` says: the program's version and commit, and what it was built with and runs on.
public var versionDescription: String {
  let provenance = Provenance.ofThisProcess(threads: 1, commandLine: "")
  let commit = provenance.gitCommit + (provenance.isDirty ? ", changed since" : "")
  let sets = InstructionSet.available.map(\.rawValue)
  return """
    spqat \(programVersion) (commit \(commit))
    algorithm version \(provenance.algorithmVersion)
    instruction sets here: \(sets.joined(separator: ", ")); used: \(provenance.instructionSet)
    HDF5 \(provenance.hdf5Version), libpng \(provenance.libpngVersion), Swift \(provenance.swiftVersion)
    """
}

#if compiler(>=6.4)
  private let compilerVersion = "6.4 or later"
#elseif compiler(>=6.3)
  private let compilerVersion = "6.3"
#else
  private let compilerVersion = "6.2"
#endif

private let processorName: String = {
  let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
  let line = information.split(separator: "\n").first { $0.hasPrefix("model name") || $0.hasPrefix("CPU part") }
  return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
}()

/// The commit that the program's folder is at, where it lies in a repository and git is there.
private struct SourceState {
  var commit = "unknown"
  var isDirty = false

  static let current = SourceState()

  private init() {
    guard let folder = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent().path,
      let commit = Self.git(["rev-parse", "HEAD"], in: folder)
    else { return }
    self.commit = commit
    let root = Self.git(["rev-parse", "--show-toplevel"], in: folder) ?? folder
    isDirty = Self.git(["status", "--porcelain", "--untracked-files=no"], in: root).map { !$0.isEmpty } ?? false
  }

  private static func git(_ arguments: [String], in folder: String) -> String? {
    guard let result = try? Subprocess.run("git", ["-C", folder] + arguments), result.succeeded else { return nil }
    return result.text.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
