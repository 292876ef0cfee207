public import Diagnostics
public import Foundation
public import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The processes that `mpirun` or `srun` started together, through the library that `make mpi` builds.
///
/// Nothing of MPI is linked: a program that was started by itself never looks for it.
public final class MPI: Communicator {
  /// Of this process.
  public let rank: Int
  /// At least 2.
  public let size: Int
  /// By this process, in `exchange`.
  public private(set) var bytesSent = 0
  private let library: Library

  /// How many processes were started together, by what their launcher says in the environment; 1 without a launcher.
  public static func launchedProcesses(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> Int {
    // Under Slurm's PMIx the step's number of tasks is the only place for it; sbatch's own variables are no step's.
    let names =
      ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"]
      + (environment["PMIX_RANK"] == nil ? [] : ["SLURM_STEP_NUM_TASKS"])
    return names.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first ?? 1
  }

  /// How many of them are on this machine.
  public static func processesHere(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> Int {
    let names = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE"]
    if let count = names.lazy.compactMap({ environment[$0].flatMap { Int($0) } }).first { return max(1, count) }
    // "2(x3),1": tasks by node, of which the first is as good as any.
    guard launchedProcesses(environment) > 1, let tasks = environment["SLURM_STEP_TASKS_PER_NODE"] else { return 1 }
    return Int(tasks.prefix(while: \.isNumber)) ?? 1
  }

  /// Whether the launcher has made this the process of rank 0; so is one without a launcher.
  public static var isFirstLaunched: Bool {
    let environment = ProcessInfo.processInfo.environment
    guard launchedProcesses(environment) > 1 else { return true }
    let names = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK"]
    return (names.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first ?? 0) == 0
  }

  /// Threads for each process: the cores that it may use, or its part of the launcher's where that is less.
  public static var threads: Int {
    let own = ProcessInfo.processInfo.activeProcessorCount
    return launchedProcesses() == 1 ? own : max(1, min(own, launcherCores / processesHere()))
  }

  /// Cores that the launcher's own process may use on this machine, which it has bound to none.
  private static var launcherCores: Int {
    let status = (try? String(contentsOfFile: "/proc/\(getppid())/status", encoding: .utf8)) ?? ""
    // A mask in hexadecimal digits, with commas between.
    let mask = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") }?.dropFirst("Cpus_allowed:".count)
    let cores = mask?.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount } ?? 0
    return cores > 0 ? cores : ProcessInfo.processInfo.activeProcessorCount
  }

  /// What is to be said where the launcher has bound a process to one core of many; nil: nothing.
  public static var bindingProblem: String? {
    let (own, all, here) = (ProcessInfo.processInfo.activeProcessorCount, launcherCores, processesHere())
    guard own == 1, all / here > 1 else { return nil }
    return
      "mpirun has bound every process to 1 of this machine's \(all) cores; with 'mpirun --bind-to none' each of the "
      + "\(here) computes on \(all / here)"
  }

  /// All processes of this start; `NoMPI` where there is one alone. To be called once.
  /// - Throws: `Diagnostic` where they cannot train together.
  public static func processes() throws(Diagnostic) -> any Communicator {
    let count = launchedProcesses()
    guard count > 1 else { return NoMPI() }
    guard count & (count - 1) == 0, count <= BatchTree.maximumLeaves else {
      throw Diagnostic(
        "mpirun", "started \(count) processes; a batch is divided among 1, 2, 4, 8, 16, 32 or 64",
        remedy: "give -n one of these")
    }
    return try MPI()
  }

  private init() throws(Diagnostic) {
    library = try Library()
    var (rank, size): (Int32, Int32) = (0, 0)
    library.start(&rank, &size)
    self.rank = Int(rank)
    self.size = Int(size)
  }

  /// Counts what it sends.
  public func exchange(
    _ sent: UnsafeRawBufferPointer, receiving received: UnsafeMutableRawBufferPointer, with partner: Int
  ) {
    bytesSent += sent.count
    library.exchange(sent.baseAddress, received.baseAddress, sent.count, Int32(partner))
  }

  /// Does not count.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    library.broadcast(bytes.baseAddress, bytes.count, Int32(root))
  }

  /// Waits for the other processes to do the same; nothing may be exchanged afterwards.
  public func end() { library.end() }
}

/// The functions of Scripts/mpi/mpi.c.
private struct Library {
  let start: @convention(c) (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>) -> Void
  let exchange: @convention(c) (UnsafeRawPointer?, UnsafeMutableRawPointer?, Int, Int32) -> Void
  let broadcast: @convention(c) (UnsafeMutableRawPointer?, Int, Int32) -> Void
  let end: @convention(c) () -> Void

  init() throws(Diagnostic) {
    let name = "libspqat-mpi.so"
    let folder =
      Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent() ?? URL(fileURLWithPath: ".")
    // Installed, and in the build folder.
    let places = ["../lib/spqat", "../../mpi"].map { folder.appending(path: "\($0)/\(name)").standardizedFileURL.path }
    guard let path = places.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
      throw Diagnostic(
        "mpirun", "started several processes, but there is no \(name) in \(places[0]) or \(places[1])",
        remedy: "build it with 'make mpi'")
    }
    // MPI's own plugins look for its symbols.
    guard let handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL) else {
      throw Diagnostic(path, "cannot be loaded: \(dlerror().map { String(cString: $0) } ?? "no reason given")")
    }
    func symbol<Function>(_ name: String, as type: Function.Type) throws(Diagnostic) -> Function {
      guard let address = dlsym(handle, name) else {
        throw Diagnostic(path, "has no \(name)", remedy: "build it again with 'make mpi'")
      }
      return unsafeBitCast(address, to: type)
    }
    start = try symbol(
      "spqat_mpi_start",
      as: (@convention(c) (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>) -> Void).self)
    exchange = try symbol(
      "spqat_mpi_exchange",
      as: (@convention(c) (UnsafeRawPointer?, UnsafeMutableRawPointer?, Int, Int32) -> Void).self)
    broadcast = try symbol(
      "spqat_mpi_broadcast", as: (@convention(c) (UnsafeMutableRawPointer?, Int, Int32) -> Void).self)
    end = try symbol("spqat_mpi_end", as: (@convention(c) () -> Void).self)
  }
}
