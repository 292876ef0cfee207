/// Where a run comes from: code, machine, data and command. Nothing here changes the run's id.
public struct Provenance: Codable, Equatable, Sendable {
  /// The commit of the source, "unknown" outside a repository.
  public var gitCommit = "unknown"
  /// Whether the source differed from that commit.
  public var isDirty = false
  /// This program's version.
  public var spqatVersion = ""
  /// Rises when the same settings lead to other results.
  public var algorithmVersion = 0
  /// The compiler's.
  public var swiftVersion = ""
  /// The library's.
  public var hdf5Version = ""
  /// The library's.
  public var libpngVersion = ""
  /// Name and version.
  public var operatingSystem = ""
  /// As the system names it.
  public var cpuModel = ""
  /// Cores that the process may use.
  public var cpuCores = 0
  /// Bytes.
  public var memory = 0
  /// The instruction set of the kernels, such as "avx512".
  public var instructionSet = ""
  /// Threads that computed, of each process.
  public var threads = 0
  /// Processes that trained it together; nil: one alone.
  public var processes: Int?
  /// Of all random numbers of the run.
  public var seed = 0
  /// The folder or manifest's name of the images.
  public var datasetName = ""
  /// The data set's folder where one was given by a path, as it was given; nil where it was given by name.
  public var datasetPath: String?
  /// SHA-256 of the decoded pixels and labels, in order.
  public var datasetHash = ""
  /// The full-precision run that this one started from.
  public var parentRunID: String?
  /// The safetensors file that this one started from, as it was given.
  public var weightsPath: String?
  /// SHA-256 of that file.
  public var weightsHash: String?
  /// As typed, quoted for a shell.
  public var commandLine = ""
  /// ISO 8601, UTC.
  public var started = ""
  /// ISO 8601, UTC; nil while it runs.
  public var ended: String?
  /// Whether the run had the machine to itself, so that its seconds mean something.
  public var isExclusive = false

  /// Nothing is known.
  public init() {}
}

extension Provenance: Storable {
  static var blank: Provenance { Provenance() }

  static let fields: [Field<Provenance>] = [
    Field("git_commit", "Commit of the source", .text(\.gitCommit)),
    Field("dirty", "Whether the source differed from that commit", .flag(\.isDirty)),
    Field("spqat_version", "Version of the program", .text(\.spqatVersion)),
    Field("algorithm_version", "Version of the algorithm", .integer(\.algorithmVersion)),
    Field("swift_version", "Swift compiler", .text(\.swiftVersion)),
    Field("hdf5_version", "HDF5 library", .text(\.hdf5Version)),
    Field("libpng_version", "libpng library", .text(\.libpngVersion)),
    Field("operating_system", "Operating system", .text(\.operatingSystem)),
    Field("cpu_model", "Processor", .text(\.cpuModel)),
    Field("cpu_cores", "Processor cores", .integer(\.cpuCores)),
    Field("memory", unit: "B", "Memory of the machine", .integer(\.memory)),
    Field("instruction_set", "Instruction set of the kernels", .text(\.instructionSet)),
    Field("threads", "Threads used", .integer(\.threads)),
    Field("processes", "Processes that trained it together, 0 for one alone", .optionalInteger(\.processes)),
    Field("seed", "Seed of all random numbers", .integer(\.seed)),
    Field("dataset_name", "Data set", .text(\.datasetName)),
    Field("dataset_path", "Folder of the data set as it was given", .optionalText(\.datasetPath)),
    Field("dataset_hash", "SHA-256 of the decoded pixels and labels", .text(\.datasetHash)),
    Field("parent_run_id", "Full-precision run that this one started from", .optionalText(\.parentRunID)),
    Field("weights_path", "Safetensors file that this one started from, as it was given", .optionalText(\.weightsPath)),
    Field("weights_hash", "SHA-256 of that file", .optionalText(\.weightsHash)),
    Field("command_line", "Command", .text(\.commandLine)),
    Field("started", "Start, UTC", .text(\.started)),
    Field("ended", "End, UTC", .optionalText(\.ended)),
    Field("exclusive", "Whether the run had the machine to itself", .flag(\.isExclusive)),
  ]
}
