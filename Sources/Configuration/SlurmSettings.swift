/// What a cluster gives each run's task; never part of a run's id.
public struct SlurmSettings: Hashable, Sendable {
  /// Wall time as sbatch takes it, "hours:minutes:seconds" with days in front of a dash. A run that needs longer goes on
  /// in a new task from its checkpoint.
  public var time = "04:00:00"
  /// Memory of a task as sbatch takes it.
  public var memory = "4G"
  /// Cores of a process, which it computes with as many threads on.
  public var cpus = 2
  /// Nodes that train one run together.
  public var nodes = 1
  /// Processes of a run on each of its nodes, a power of two with all nodes; 1 on one node: no MPI.
  public var tasksPerNode = 1
  /// Processes that train a run together.
  public var processes: Int { nodes * tasksPerNode }
  /// nil: the cluster's default.
  public var partition: String?

  /// What an experiment has that sets nothing.
  public init() {}
}

extension SlurmSettings {
  static let settings: [Setting<SlurmSettings>] = [
    Setting(
      "time", \.time,
      .wallTime.described("Wall time of a task, at least 5 minutes; a run that needs longer goes on in a new task."),
      unless: SlurmSettings().time),
    Setting(
      "memory", \.memory,
      .string(matching: "[1-9][0-9]{0,6}[MGT]", "a whole number with M, G or T, such as \"4G\"")
        .described("Memory of a task on each node."), unless: SlurmSettings().memory),
    Setting(
      "cpus", \.cpus, .integer(in: 1...1024).described("Cores and threads of a process."), unless: SlurmSettings().cpus
    ),
    Setting(
      "nodes", \.nodes,
      .integer(in: 1...64).described("Nodes that train one run together through MPI: 1, 2, 4, 8, 16, 32 or 64."),
      unless: SlurmSettings().nodes),
    Setting(
      "tasksPerNode", \.tasksPerNode,
      .integer(in: 1...64).described(
        "Processes of a run on each node: with nodes a power of two of at most 64 processes, which srun starts."),
      unless: SlurmSettings().tasksPerNode),
    // Several with commas between; nothing that a script could take for something else.
    Setting(
      "partition", \.partition,
      SettingCodec<String>.string(
        matching: "[A-Za-z0-9][A-Za-z0-9._,-]*", "a partition's name; see 'sinfo --summarize'"
      )
      .described("The cluster's default where absent.").optional, unless: .some(nil)),
  ]

  /// How long before the end of the wall time a task is told to write its checkpoint, seconds.
  package static let notice = 120

  /// - Parameter reader: nil: nothing is set.
  init(_ reader: ObjectReader?) throws(SettingError) {
    self.init()
    guard let reader else { return }
    for setting in Self.settings { try reader.read(setting, into: &self) }
  }
}

extension SettingCodec<String> {
  /// As sbatch takes it, and long enough to train between start and notice.
  fileprivate static var wallTime: SettingCodec {
    let written = string(
      matching: "([0-9]{1,3}-)?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9]",
      "hours:minutes:seconds such as \"04:00:00\", or \"2-00:00:00\"")
    return SettingCodec(
      remedy: written.remedy, schema: written.schema,
      decode: { json throws(SettingProblem) in
        let time = try written.decode(json)
        guard seconds(time) >= 300 else {
          throw SettingProblem(
            text:
              "found \(JSONValue.quoted(time)), expected at least 5 minutes: a task's last two are for its checkpoint")
        }
        return time
      }, encode: written.encode)
  }

  private static func seconds(_ time: String) -> Int {
    let parts = time.split { $0 == "-" || $0 == ":" }.reversed().map { Int($0) ?? 0 }
    return zip(parts, [1, 60, 3600, 86400]).reduce(0) { $0 + $1.0 * $1.1 }
  }
}
