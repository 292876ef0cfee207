import Datasets
import Quantization
import Recipes
import Statistics
import Training

/// Where experiment files may hold values, in the order in which messages list them.
package enum ConfigurationKeys {
  package static let outlines: [SettingOutline] = {
    var outlines = [
      SettingOutline("$schema", .string.described("Where editors find this schema.")),
      SettingOutline("name", .experimentName.described("Names the folder of results.")),
      SettingOutline("title", .title.described("Caption of tables and reports.")),
      SettingOutline(
        "description", .string.described("What a reader of the file should know; nothing depends on it.")),
      SettingOutline(
        "dataset",
        .string.described(
          "\"default\" (cifar10 where it is imported, else fashion-mnist), the name of a folder in datasets/, or a path "
            + "with a slash."), default: Experiment.defaultDataset),
    ]
    outlines += PictureSettings.outlines
    outlines += RunSettings.configured.map { $0.outline() }
    outlines += ImageCrop.settings.map { $0.outline(below: "images") }
    outlines.append(SettingOutline("method", .method))
    outlines += FreezingSpec.chosen.map { $0.outline(below: "freezing") }
    outlines += FreezingSpec.published.map { $0.outline(below: "freezing") { FreezingSettings($0).spec } }
    let duration = SettingCodec<TrainingDuration>.duration
    outlines.append(
      SettingOutline("freezing.start", duration.described("How long nothing freezes.").schema) {
        duration.encode(FreezingSettings($0).start)
      })
    outlines.append(SettingOutline("freezing.stop", .stop))
    outlines.append(SettingOutline("rangeGradient", .rangeGradient))
    outlines.append(SettingOutline("gradients", .gradients, default: .float32))
    outlines += training(TrainingSpec.configured) { TrainingSettings($0) }
    outlines += training(TrainingSpec.pretraining, below: "pretraining") { TrainingSettings(pretraining: $0) }
    outlines += [
      SettingOutline("pretraining.seed", .seed.described("Of its initial weights and images."), default: 1),
      SettingOutline(
        "pretraining.seeds",
        .seeds.described(
          "Several such networks, which the experiment's seeds are dealt out to in turn: the i-th seed starts from network "
            + "i modulo their number, in every setting.")),
      SettingOutline("pretraining.weights", .weightsFile),
    ]
    outlines += [
      SettingOutline(
        "seeds", .seeds.described("One run of each setting for each seed."), default: Experiment.defaultSeeds),
      SettingOutline("axes", .axes),
      SettingOutline("profiles", .profiles),
    ]
    outlines += SlurmSettings.settings.map { $0.outline(below: "slurm") }
    outlines += Claim.outlines
    return outlines
  }()

  private static func training(
    _ settings: [Setting<TrainingSpec>], below section: String = "", published: (Recipe.Settings) -> TrainingSettings
  ) -> [SettingOutline] {
    let prefix = section.isEmpty ? "" : "\(section)."
    let length = SettingCodec<TrainingDuration>.runLength
    return [
      SettingOutline("\(prefix)duration", length.described("Length of the training.").schema) {
        length.encode(published($0).duration)
      }
    ]
      + settings.map { $0.outline(below: section) { published($0).spec } }
      + LearningRateSettings.settings.map { $0.outline(below: "\(prefix)learningRate") }
  }

  /// What sweeps may vary, as the first component of an axis: not what names the experiment, chooses its data or changes no
  /// run.
  package static let axes = names(in: "").filter {
    ![
      "$schema", "name", "title", "description", "dataset", "index", "decode", "onCorruptImage", "seeds", "axes",
      "profiles", "slurm", "comparison",
    ].contains($0)
  }

  /// The keys of the object at `section` (empty: the file's own).
  package static func names(in section: String) -> [String] { namesBySection[section] ?? [] }

  // Every run of a sweep is checked against them.
  private static let namesBySection = Dictionary(
    uniqueKeysWithValues: sections.map { section in
      let depth = section.isEmpty ? 0 : SettingPath(dotted: section).components.count
      var names: [String] = []
      for outline in outlines where section.isEmpty || outline.path.hasPrefix("\(section).") {
        let name = SettingPath(dotted: outline.path).components[depth]
        if !names.contains(name) { names.append(name) }
      }
      return (section, names)
    })

  /// What the sections below the file itself are for.
  package static let described: [SettingSection] =
    [
      SettingSection(
        "images",
        "Cuts the network's images out of pictures of any size: random parts in training, the centre in evaluation. The "
          + "data set needs an index ('spqat dataset index').", isOptional: true),
      SettingSection("bits", "Bit widths; layers to which the recipe gives a width of their own have that."),
      SettingSection(
        "freezing", "When weights freeze; only with the methods freeze and shadow, or where axes vary the method.",
        isOptional: true
      ),
      SettingSection("pretraining", "The full-precision network that runs start from."),
      SettingSection(
        "slurm", "What each run's task gets with --launcher slurm; makes no other run of it.", isOptional: true),
      SettingSection(
        "comparison",
        "What 'spqat compare' tests, recorded with the results when training begins; makes no other run.",
        isOptional: true),
    ]
    + ["", "pretraining."].flatMap { prefix in
      [
        SettingSection("\(prefix)optimizer", "A rule for each group of parameters."),
        SettingSection("\(prefix)optimizer.weights", "Convolution and linear weights and biases."),
        SettingSection("\(prefix)optimizer.batchNorm", "Batch norm's scales and shifts."),
        SettingSection("\(prefix)optimizer.quantizers", "Scales and ranges of quantizers."),
        SettingSection(
          "\(prefix)learningRate", "The factor on every group's learning rate over the run.", isOptional: true),
      ]
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
