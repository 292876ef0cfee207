/// What a cluster gives each run's task; never part of a run's id.
public struct SlurmSettings: Hashable, Sendable {
  /// Wall time as sbatch takes it, "hours:minutes:seconds" with days in front of a dash. A run that needs longer goes on
  /// in a new task from its checkpoint.
  public var time = "04:00:00"
  /// Memory of a task as sbatch takes it.
  public var memory = "4G"
  /// Cores of a task, which it computes with as many threads on.
  public var cpus = 2
  /// nil: the cluster's default.
  public var partition: String?

  /// What an experiment has that sets nothing.
  public init() {}
}

extension SlurmSettings {
  static let keys = ["time", "memory", "cpus", "partition"]
  /// How long before the end of the wall time a task is told to write its checkpoint, seconds.
  package static let notice = 120
  /// Less would leave hardly any time to train between start and notice.
  private static let shortestTime = 300

  /// - Parameter reader: nil: nothing is set.
  init(_ reader: ObjectReader?) throws(SettingError) {
    guard let reader else { return }
    if let time = try reader.value("time", .string) {
      guard let match = time.wholeMatch(of: /(?:([0-9]{1,3})-)?([0-9]{1,3}):([0-5][0-9]):([0-5][0-9])/),
        let hours = Int(match.2), let minutes = Int(match.3), let seconds = Int(match.4)
      else {
        throw reader.fail(
          "time",
          "found \(JSONValue.quoted(time)), expected hours:minutes:seconds such as \"04:00:00\", or \"2-00:00:00\"")
      }
      let days = match.1.flatMap { Int($0) } ?? 0
      guard ((days * 24 + hours) * 60 + minutes) * 60 + seconds >= Self.shortestTime else {
        throw reader.fail(
          "time",
          "found \(JSONValue.quoted(time)), expected at least 5 minutes: a task's last two are for its checkpoint")
      }
      self.time = time
    }
    if let memory = try reader.value("memory", .string) {
      guard memory.wholeMatch(of: /[1-9][0-9]{0,6}[MGT]/) != nil else {
        throw reader.fail(
          "memory", "found \(JSONValue.quoted(memory)), expected a whole number with M, G or T, such as \"4G\"")
      }
      self.memory = memory
    }
    cpus = try reader.value("cpus", .integer(in: 1...1024)) ?? cpus
    if let partition = try reader.value("partition", .string) {
      // Several with commas between; nothing that a script could take for something else.
      guard partition.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._,-]*/) != nil else {
        throw reader.fail(
          "partition", "found \(JSONValue.quoted(partition)), expected a partition's name; see 'sinfo --summarize'")
      }
      self.partition = partition
    }
  }
}
