import Quantization
import Statistics
import Training

/// Where experiment files may hold values, in the order in which messages list them.
package enum ConfigurationKeys {
  package static let outlines: [SettingOutline] = {
    var outlines = ["$schema", "name", "title", "dataset"].map { SettingOutline($0) }
    outlines += RunSettings.configured.map { $0.outline() }
    outlines.append(SettingOutline("method", SettingCodec<MethodName>.choice().schema))
    outlines += FreezingSpec.configured.map { $0.outline(below: "freezing") }
    outlines.append(SettingOutline("freezing.start", SettingCodec<TrainingDuration>.duration.schema))
    outlines.append(SettingOutline("rangeGradient", SettingCodec<RangeGradient>.choice().schema))
    outlines += training(TrainingSpec.configured)
    outlines += training(TrainingSpec.pretraining, below: "pretraining")
    outlines.append(SettingOutline("pretraining.seed", SettingCodec<UInt64>.seed.schema))
    outlines += ["seeds", "axes", "profiles"].map { SettingOutline($0) }
    outlines += SlurmSettings.keys.map { SettingOutline("slurm.\($0)") }
    outlines += Claim.outlines
    return outlines
  }()

  private static func training(_ settings: [Setting<TrainingSpec>], below section: String = "") -> [SettingOutline] {
    let prefix = section.isEmpty ? "" : "\(section)."
    return [SettingOutline("\(prefix)duration", SettingCodec<TrainingDuration>.runLength.schema)]
      + settings.map { $0.outline(below: section) }
      + LearningRateSettings.settings.map { $0.outline(below: "\(prefix)learningRate") }
  }

  /// The keys of the object at `section` (empty: the file's own).
  package static func names(in section: String) -> [String] {
    let prefix = section.isEmpty ? "" : "\(section)."
    var names: [String] = []
    for outline in outlines where outline.path.hasPrefix(prefix) {
      let name = String(outline.path.dropFirst(prefix.count).prefix { $0 != "." })
      if !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// Every section that has keys of its own, the file itself ("") first.
  package static let sections: [String] = {
    var sections = [""]
    for outline in outlines {
      var path = SettingPath(dotted: outline.path).components
      while path.count > 1 {
        path.removeLast()
        let section = path.joined(separator: ".")
        if !sections.contains(section) { sections.append(section) }
      }
    }
    return sections
  }()

  /// Refuses whatever no description knows, and values where sections belong.
  /// - Parameter isShallow: leave sections alone.
  static func check(
    _ value: JSONValue, section: String = "", at path: SettingPath = SettingPath(), isShallow: Bool = false
  ) throws(SettingError) {
    let names = names(in: section)
    guard case .object(let members) = value else {
      throw SettingError(path: path, problem: "found \(value.found), expected an object with \(quotedList(names))")
    }
    for member in members {
      let inner = path.appending(member.key)
      guard names.contains(member.key) else {
        throw SettingError(path: inner, problem: unknownName(member.key, what: "key", allowed: names))
      }
      let innerSection = section.isEmpty ? member.key : "\(section).\(member.key)"
      if !isShallow, sections.contains(innerSection) {
        try check(member.value, section: innerSection, at: inner)
      }
    }
  }
}

/// Says that `name` is none of `allowed`, and which one it may have been meant to be.
func unknownName(_ name: String, what: String, allowed: [String]) -> String {
  let hint = nearestName(to: name, among: allowed).map { " did you mean \"\($0)\"?" } ?? ""
  return "unknown \(what) \(JSONValue.quoted(name));\(hint) allowed: \(quotedList(allowed))"
}
