public import Diagnostics
import Foundation
import Quantization
public import Statistics
import Training

/// An experiment file, decoded: one profile of it, with the command line's overrides, expanded into its runs.
public struct Experiment: Sendable {
  /// One run as configured.
  public struct Point: Hashable, Sendable {
    /// The configuration merged with the profile, the overrides and `axisValues`.
    public var settings: RunSettings
    /// What the sweep varies and this run therefore differs in, in the order of the file; the seed is apart.
    public var axisValues: [AxisValue]

    /// The run that this one is paired with: the same with the criterion `distance`; nil where it is paired with none.
    package var pair: Point? {
      guard var freezing = settings.method.freezing, freezing.isPaired else { return nil }
      (freezing.spec.criterion, freezing.stop) = (.distance, nil)
      var pair = self
      pair.settings.method = settings.method.with(freezing)
      pair.axisValues = axisValues.compactMap { axis in
        guard pair.settings.method.reads(axis.path) else { return nil }
        let isCriterion = axis.path.components == ["freezing", "criterion"]
        return isCriterion ? AxisValue(path: axis.path, value: .string(freezing.spec.criterion.name)) : axis
      }
      return pair
    }
  }

  /// What one run has where the sweep varies a value.
  public struct AxisValue: Hashable, Sendable {
    /// The axis: from the file's root, such as "bits.weights".
    public var path: SettingPath
    /// As the file writes it, before it is decoded.
    public var value: JSONValue
  }

  /// Overrides one value: `--set freezing.threshold=0.3`.
  public struct Override: Hashable, Sendable {
    /// From the file's root; `load` refuses one at, above or below an axis.
    public var path: SettingPath
    /// Merged into the file as a JSON merge patch (RFC 7396): null removes the key.
    public var value: JSONValue

    /// Checks nothing; `load` refuses what cannot be set.
    public init(path: SettingPath, value: JSONValue) {
      self.path = path
      self.value = value
    }

    /// "path=value", the value being JSON or, where it is none, a string.
    public init(argument: String) throws(Diagnostic) {
      guard let split = argument.firstIndex(of: "="), split > argument.startIndex else {
        throw Diagnostic(
          "--set", "found \"\(argument)\", expected path=value, for example freezing.threshold=0.3")
      }
      let text = String(argument[argument.index(after: split)...])
      path = SettingPath(dotted: String(argument[..<split]))
      value = (try? JSONParser.parse(Array(text.utf8))) ?? .string(text)
    }

    /// The override as `init(argument:)` reads it.
    public var argument: String { "\(path)=\(value.text)" }
  }

  /// The path it was loaded from, as the caller gave it.
  public let file: String
  /// Names the folder of results: 1 to 64 ASCII letters, digits, "-", "_" and ".".
  public let name: String
  /// The tables' caption, without NUL; `name` where the file gives none.
  public let title: String
  /// The profile in force, nil for the file as it stands.
  public let profile: String?
  /// The file's profiles by name, in its order, whichever is in force.
  public let profiles: [String]
  /// "default", the name of an imported data set, or a path.
  public let dataset: String
  /// How its pictures are read; nil where all images are of one size.
  public let pictures: PictureSettings?
  /// For `sweep --launcher slurm`.
  public let slurm: SlurmSettings
  /// What `compare` tests; nil where nothing is claimed.
  public let claim: Claim?
  /// Without duplicates, in the order of the file.
  public let points: [Point]

  /// Every profile of `file` is decoded, so that a mistake in one that is not used today is found too.
  ///
  /// - Parameter profile: nil chooses "quick" where the file has it, else the file as it stands.
  public static func load(
    file: String, profile: String?, overrides: [Override] = []
  ) throws(Diagnostic) -> Experiment {
    let source = try Source(file: file)
    for name in source.profileNames where name != profile { _ = try source.experiment(profile: name, overrides: []) }
    _ = try source.experiment(profile: nil, overrides: [])
    if let profile, !source.profileNames.contains(profile) {
      let hint = nearestName(to: profile, among: source.profileNames).map { "; did you mean \"\($0)\"?" } ?? ";"
      throw Diagnostic(
        file, at: "profiles",
        "no profile \(JSONValue.quoted(profile))\(hint) there are: \(quotedList(source.profileNames))")
    }
    let chosen = profile ?? (source.profileNames.contains(defaultProfile) ? defaultProfile : nil)
    return try source.experiment(profile: chosen, overrides: overrides)
  }

  /// In force where the command line names none and the file has it.
  public static let defaultProfile = "quick"

  /// The data set of an experiment that names none: cifar10 where it is imported, else fashion-mnist.
  public static let defaultDataset = "default"
  static let defaultSeeds: [UInt64] = [1]

  /// Whether `file` is a JSON Schema: `configs/*.json` matches the experiments' own.
  public static func isSchema(_ file: String) throws(Diagnostic) -> Bool {
    guard case .string(let schema)? = try Source(file: file, checksKeys: false).base["$schema"]
    else {
      return false
    }
    return schema.hasPrefix("https://json-schema.org/")
  }
}

/// A parsed file and the steps from its tree to an experiment.
private struct Source {
  let file: String
  let base: JSONValue
  let profilePatches: [JSONValue.Member]
  var profileNames: [String] { profilePatches.map(\.key) }

  private static let maximumPoints = 10_000

  /// - Parameter checksKeys: false reads any JSON object.
  init(file: String, checksKeys: Bool = true) throws(Diagnostic) {
    self.file = file
    let contents = try Self.read(file)
    do {
      base = try JSONParser.parse(Array(contents))
    } catch {
      throw Diagnostic("\(file):\(error.line):\(error.column)", error.problem)
    }
    guard checksKeys else {
      profilePatches = []
      return
    }
    do throws(SettingError) {
      try ConfigurationKeys.check(base, isShallow: true)
      let root = ObjectReader(base)
      switch root.json("profiles") {
      case nil: profilePatches = []
      case .object(let members)?: profilePatches = members
      case let value?: throw root.fail("profiles", "found \(value.found), expected an object of overrides by name")
      }
      for member in profilePatches {
        let path = SettingPath(["profiles", member.key])
        try ConfigurationKeys.check(member.value, at: path, isShallow: true)
        let patch = ObjectReader(member.value, at: path)
        for key in ["$schema", "name", "profiles"] {
          try patch.refuse(key, because: "cannot be set by a profile; remove it")
        }
      }
    } catch {
      throw error.diagnostic(in: file)
    }
  }

  private static func read(_ file: String) throws(Diagnostic) -> Data {
    let example = "give the path of an experiment such as configs/table2.json"
    var status = stat()
    guard stat(file, &status) == 0 else {
      throw Diagnostic(
        file, "\(errno == ENOENT ? "no such file" : "cannot be read"); \(example)")
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw Diagnostic(file, "is a folder; \(example)")
    default:
      // Every worker of a sweep reads the experiment again.
      throw Diagnostic(
        file, "is a pipe or a device, which gives its contents once; write the experiment to a file")
    }
    guard let contents = try? Data(contentsOf: URL(fileURLWithPath: file)) else {
      throw Diagnostic(file, "cannot be read; \(example)")
    }
    return contents
  }

  func experiment(profile: String?, overrides: [Experiment.Override]) throws(Diagnostic) -> Experiment {
    let patch = profilePatches.first { $0.key == profile }?.value ?? .object([])
    var axisPaths: [SettingPath] = []
    do throws(SettingError) {
      var tree = base.merging(.object([JSONValue.Member("profiles", .null)])).merging(patch)
      let axes = try decodeAxes(tree, overriddenBy: overrides)
      axisPaths = axes.flatMap { $0.map(\.path) }
      for override in overrides {
        if let axis = axisPaths.first(where: { $0.starts(with: override.path) || override.path.starts(with: $0) }) {
          throw SettingError(
            path: override.path,
            problem: "is varied by the axis \(axis), so setting it has no effect; choose runs with --only, or set axes")
        }
        tree = tree.merging(override.path.wrapping(override.value))
      }
      try ConfigurationKeys.check(tree)
      let root = ObjectReader(tree)
      let name = try root.value("name", .experimentName)
      guard let name else { throw root.fail("name", "missing; it names the folder of results") }
      _ = try root.value("description", .string)
      let points = try points(tree, axes: axes, seeds: try root.value("seeds", .seeds) ?? Experiment.defaultSeeds)
      return Experiment(
        file: file, name: name, title: try root.value("title", .title) ?? name, profile: profile,
        profiles: profileNames, dataset: try root.value("dataset", .string) ?? Experiment.defaultDataset,
        pictures: try PictureSettings(root, isUsed: points.contains { $0.settings.training.images != nil }),
        slurm: try SlurmSettings(root.section("slurm")), claim: try Claim(root.section("comparison")), points: points)
    } catch {
      let origin =
        if overrides.contains(where: { error.path.starts(with: $0.path) }) {
          " (from --set)"
        } else if axisPaths.contains(where: { error.path.starts(with: $0) }) {
          " (a value of axes)"
        } else if let profile, patch[error.path] != nil { " (from the profile \"\(profile)\")" } else { "" }
      throw SettingError(path: error.path, problem: error.problem + origin).diagnostic(in: file)
    }
  }

  /// Each element of the result is one dimension of the grid: the paths that vary together there, with their values.
  private func decodeAxes(
    _ tree: JSONValue, overriddenBy overrides: [Experiment.Override]
  ) throws(SettingError) -> [[(path: SettingPath, values: [JSONValue])]] {
    let path = SettingPath(["axes"])
    let value = overrides.last { $0.path == path }?.value ?? tree["axes"]
    guard let value, value != .null else { return [] }
    guard case .array(let groups) = value else {
      throw SettingError(path: path, problem: "found \(value.found), expected a list of objects")
    }
    var seen: Set<SettingPath> = []
    var axes: [[(path: SettingPath, values: [JSONValue])]] = []
    var count = 1
    for group in groups {
      guard case .object(let members) = group, let first = members.first else {
        throw SettingError(
          path: path, problem: "found \(group.found), expected objects such as {\"bits.weights\": [4, 3, 2]}")
      }
      var axis: [(path: SettingPath, values: [JSONValue])] = []
      for member in members {
        let target = SettingPath(dotted: member.key)
        let here = path.appending(member.key)
        guard ConfigurationKeys.axes.contains(target.components[0]) else {
          throw SettingError(
            path: here, problem: unknownName(target.components[0], what: "axis", allowed: ConfigurationKeys.axes))
        }
        guard seen.insert(target).inserted else {
          throw SettingError(path: here, problem: "is varied twice; keep one")
        }
        guard case .array(let values) = member.value, !values.isEmpty else {
          throw SettingError(path: here, problem: "found \(member.value.found), expected a list of values")
        }
        if case .array(let others) = first.value, others.count != values.count {
          throw SettingError(
            path: here,
            problem: "has \(values.count) values beside \(others.count) of \(first.key); lists in one object vary "
              + "together and need equal lengths (put them in objects of their own for a grid)")
        }
        axis.append((target, values))
      }
      count *= axis[0].values.count
      guard count <= Self.maximumPoints else {
        throw SettingError(path: path, problem: "makes more than \(Self.maximumPoints) runs; split the sweep")
      }
      axes.append(axis)
    }
    return axes
  }

  private func points(
    _ tree: JSONValue, axes: [[(path: SettingPath, values: [JSONValue])]], seeds: [UInt64]
  ) throws(SettingError) -> [Experiment.Point] {
    var combinations: [[Experiment.AxisValue]] = [[]]
    for axis in axes {
      combinations = combinations.flatMap { combination in
        axis[0].values.indices.map { index in
          combination + axis.map { Experiment.AxisValue(path: $0.path, value: $0.values[index]) }
        }
      }
    }
    guard combinations.count * seeds.count <= Self.maximumPoints else {
      throw SettingError(
        path: SettingPath(["seeds"]),
        problem: "\(seeds.count) seeds of \(combinations.count) settings make more than \(Self.maximumPoints) runs; "
          + "split the sweep")
    }
    let varied = Set(axes.joined().map(\.path.description))
    var points: [Experiment.Point] = []
    var seen: Set<RunSettings> = []
    for combination in combinations {
      let merged = combination.reduce(tree) { $0.merging($1.path.wrapping($1.value)) }
      try ConfigurationKeys.check(merged)
      let root = ObjectReader(merged)
      for index in seeds.indices {
        let settings = try RunSettings(root, seeds: seeds, index: index, varies: varied.contains)
        // A grid over method and freezing meets the baseline once for every freezing setting: keep one, unlabelled.
        guard seen.insert(settings).inserted else { continue }
        let shown = combination.filter { settings.method.reads($0.path) }
        points.append(Experiment.Point(settings: settings, axisValues: shown))
      }
    }
    return points
  }
}
