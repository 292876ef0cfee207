import Configuration
import ConfigurationSupport
import Diagnostics
import Foundation
import Networks
import Quantization
import Recipes
import TestSupport
import Testing

/// "linear", "sine", ...
private let schedules = quotedList(ThresholdSchedule.names)
/// What a threshold may be.
private let threshold =
  "a number of at least 0, \(quotedList(ThresholdSchedule.names.dropLast())) or \(quotedList(ThresholdSchedule.names.suffix(1)))"

/// One mistake in an experiment file and the line it is answered with.
struct Mistake: Sendable, CustomTestStringConvertible {
  var text: String
  var message: String
  var profile: String?
  var set: [String] = []

  init(_ text: String, _ message: String, profile: String? = nil, set: [String] = []) {
    self.text = text
    self.message = message
    self.profile = profile
    self.set = set
  }

  /// A valid experiment with `members` added before its own.
  init(adding members: String, _ message: String, set: [String] = []) {
    self.init("{\(members), \(Self.minimal.dropFirst())", message, set: set)
  }

  static let minimal = #"{"name": "x", "bits": {"weights": 4, "activations": 4}, "method": "fullQAT"}"#
  /// Valid, and freezing, for mistakes in the section `freezing`.
  static func freezing(_ section: String, _ message: String) -> Mistake {
    Mistake(
      #"{"name": "x", "bits": {"weights": 4, "activations": 4}, "method": "freeze", "freezing": \#(section)}"#, message)
  }

  var testDescription: String { message }
}

@Suite("Messages about experiment files")
struct ErrorMessageTests {
  @Test("a valid file is accepted")
  func minimalIsValid() throws {
    #expect(try complaint(Mistake.minimal) == nil)
  }

  @Test(
    "syntax errors give line and column",
    arguments: [
      Mistake("", "experiment.json:1:1: expected a value, found the end of the file"),
      Mistake("{\n  \"name\": \"x\",\n}", "experiment.json:3:1: expected a key in quotation marks, found \"}\""),
      Mistake("{} {}", "experiment.json:1:4: expected the end of the file after the value, found \"{\""),
      Mistake(
        "{\"name\": \"x\",\n \"name\": \"y\"}",
        "experiment.json:2:2: the key \"name\" appears twice in one object; keep one"),
      Mistake("{\"seeds\": [01]}", "experiment.json:1:12: 01 is not a JSON number"),
      Mistake("{\"seeds\": [1e999]}", "experiment.json:1:12: 1e999 is too large a number"),
      Mistake("{\"name\": \"x", "experiment.json:1:10: the string that starts here never ends"),
      Mistake("{\"name\": nope}", "experiment.json:1:10: expected a value, found \"n\""),
      Mistake("{\"name\" \"x\"}", "experiment.json:1:9: expected \":\" after the key \"name\", found \"\"\""),
    ])
  func syntax(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text) == mistake.message)
  }

  @Test(
    "unknown names are answered with the nearest and the allowed ones",
    arguments: [
      Mistake(
        adding: #""batchsize": 3"#,
        "experiment.json: batchsize: unknown key \"batchsize\"; did you mean \"batchSize\"? allowed: \"$schema\", "
          + "\"name\", \"title\", \"description\", \"dataset\", \"index\", \"decode\", \"onCorruptImage\", "
          + "\"subset\", \"recipe\", \"model\", \"bits\", \"images\", \"method\", \"freezing\", "
          + "\"rangeGradient\", \"gradients\", \"duration\", \"batchSize\", \"microbatch\", \"dropLastPartialBatch\", "
          + "\"augment\", \"optimizer\", \"learningRate\", \"pretraining\", \"seeds\", \"axes\", \"profiles\", \"slurm\", "
          + "\"comparison\""),
      .freezing(
        #"{"treshold": 0.1}"#,
        "experiment.json: freezing.treshold: unknown key \"treshold\"; did you mean \"threshold\"? allowed: "
          + "\"criterion\", \"threshold\", \"steps\", \"distanceEMA\", \"start\", \"stop\""),
      .freezing(
        #"{"threshold": "liner"}"#,
        "experiment.json: freezing.threshold: unknown schedule \"liner\"; did you mean \"linear\"? allowed: "
          + schedules),
      Mistake(
        adding: #""recipe": "qat""#,
        "experiment.json: recipe: unknown value \"qat\"; did you mean \"spqat\"? allowed: "
          + quotedList(Recipe.names)),
      Mistake(
        adding: #""model": "vgg""#,
        "experiment.json: model: unknown value \"vgg\"; allowed: "
          + quotedList(Architecture.all.map(\.name))),
      Mistake(
        adding: #""pretraining": {"optimizer": {"quantizers": {}}}"#,
        "experiment.json: pretraining.optimizer.quantizers: unknown key \"quantizers\"; allowed: \"weights\", "
          + "\"batchNorm\""),
    ])
  func names(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text) == mistake.message)
  }

  @Test(
    "a network to start from is trained or read from a file, not both",
    arguments: [
      Mistake(
        adding: #""pretraining": {"weights": "w.safetensors", "duration": "1ep"}"#,
        "experiment.json: pretraining.duration: has no effect beside pretraining.weights, which are trained already; "
          + "remove one"),
      Mistake(
        adding: #""pretraining": {"weights": "w.safetensors", "seed": 2}"#,
        "experiment.json: pretraining.seed: has no effect beside pretraining.weights, which are trained already; "
          + "remove one"),
      Mistake(
        adding: #""pretraining": {"weights": ""}"#,
        "experiment.json: pretraining.weights: found \"\", expected the path of a safetensors file"),
      Mistake(
        adding: #""pretraining": {"weights": 1}"#,
        "experiment.json: pretraining.weights: found 1, expected the path of a safetensors file"),
    ])
  func weights(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text) == mistake.message)
  }

  @Test(
    "wrong types and impossible values say what was found and what is allowed",
    arguments: [
      Mistake(
        "[]",
        "experiment.json: found a list, expected an object with \"$schema\", \"name\", \"title\", "
          + "\"description\", \"dataset\", \"index\", \"decode\", \"onCorruptImage\", \"subset\", \"recipe\", "
          + "\"model\", \"bits\", \"images\", \"method\", \"freezing\", \"rangeGradient\", \"gradients\", "
          + "\"duration\", \"batchSize\", \"microbatch\", \"dropLastPartialBatch\", \"augment\", \"optimizer\", \"learningRate\", "
          + "\"pretraining\", \"seeds\", \"axes\", \"profiles\", \"slurm\", \"comparison\""),
      Mistake(
        #"{"name": "x", "bits": {"weights": 9, "activations": 4}, "method": "fullQAT"}"#,
        "experiment.json: bits.weights: found 9, expected a whole number from 2 to 8"),
      Mistake(
        #"{"name": "x", "bits": {"weights": 2.5, "activations": 4}, "method": "fullQAT"}"#,
        "experiment.json: bits.weights: found 2.5, expected a whole number from 2 to 8"),
      Mistake(
        #"{"name": "x", "bits": {"weights": 4}, "method": "fullQAT"}"#,
        "experiment.json: bits.activations: missing; a whole number from 2 to 8"),
      Mistake(
        #"{"name": "../x", "bits": {"weights": 4, "activations": 4}, "method": "fullQAT"}"#,
        "experiment.json: name: found \"../x\", expected 1 to 64 letters, digits, \"-\", \"_\" or \".\": it names a folder"
      ),
      Mistake(
        adding: #""batchSize": 0"#, "experiment.json: batchSize: found 0, expected a whole number from 1 to 65536"),
      Mistake(
        adding: #""microbatch": 1"#, "experiment.json: microbatch: found 1, expected a whole number from 2 to 65536"),
      Mistake(
        adding: #""batchSize": 12, "microbatch": 8"#,
        "experiment.json: microbatch: 8 does not divide the batchSize of 12; write a divisor from 2 on, or leave it out"
      ),
      Mistake(
        adding: #""batchSize": 12, "pretraining": {"batchSize": 10, "microbatch": 4}"#,
        "experiment.json: pretraining.microbatch: 4 does not divide the batchSize of 10; write a divisor from 2 on, or "
          + "leave it out"),
      Mistake(
        adding: #""batchSize": "128""#,
        "experiment.json: batchSize: found \"128\", expected a whole number from 1 to 65536"),
      Mistake(adding: #""subset": -1"#, "experiment.json: subset: found -1, expected a whole number of at least 1"),
      Mistake(adding: #""augment": 1"#, "experiment.json: augment: found 1, expected true or false"),
      Mistake(adding: #""seeds": []"#, "experiment.json: seeds: found an empty list, expected at least one seed"),
      Mistake(adding: #""seeds": [1, 1]"#, "experiment.json: seeds: 1 appears twice; keep one"),
      Mistake(adding: #""seeds": [-1]"#, "experiment.json: seeds: found -1, expected a whole number of at least 0"),
      Mistake(
        adding: #""duration": 80"#,
        "experiment.json: duration: found 80, expected a duration; write a number with a unit: \"80ep\" (epochs), "
          + "\"20%\" (of the run) or \"500it\" (steps)"),
      Mistake(
        adding: #""duration": "80 ep""#,
        "experiment.json: duration: found \"80 ep\", whose unit \" ep\" is unknown; write a number with a unit: "
          + "\"80ep\" (epochs), \"20%\" (of the run) or \"500it\" (steps)"),
      Mistake(
        adding: #""duration": "20%""#,
        "experiment.json: duration: found \"20%\"; a run's own length is in epochs or steps"),
      Mistake(
        adding: #""duration": "0ep""#, "experiment.json: duration: found \"0ep\"; a run needs at least one step"),
      Mistake(
        adding: #""optimizer": {"weights": {"learningRate": 0}}"#,
        "experiment.json: optimizer.weights.learningRate: found 0, expected a number above 0"),
      Mistake(
        adding: #""optimizer": {"weights": {"momentum": 1}}"#,
        "experiment.json: optimizer.weights.momentum: found 1, expected a number from 0 to below 1"),
      .freezing(
        #"{"threshold": -0.1}"#,
        "experiment.json: freezing.threshold: found -0.1, expected \(threshold)"),
      .freezing(
        #"{"threshold": "fixed"}"#,
        "experiment.json: freezing.threshold: found \"fixed\"; write the threshold itself, as a share of a level (0.1)"),
      .freezing(
        #"{"threshold": 0.1, "distanceEMA": 1}"#,
        "experiment.json: freezing.distanceEMA: found 1, expected a number from 0 to below 1"),
    ])
  func values(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text) == mistake.message)
  }

  @Test(
    "combinations without effect are refused with a remedy",
    arguments: [
      Mistake(
        adding: #""freezing": {"threshold": 0.1}"#,
        "experiment.json: freezing: has no effect with the method \"fullQAT\"; remove it, or set method to \"freeze\""),
      Mistake(
        #"{"name": "x", "bits": {"weights": 4, "activations": 4}, "method": "freeze"}"#,
        "experiment.json: freezing: missing; the method \"freeze\" needs at least {\"threshold\": "
          + threshold + "}"),
      Mistake(
        adding: #""pretraining": {"seed": 1, "seeds": [1]}"#,
        "experiment.json: pretraining.seed: stands beside \"seeds\", which says the same for several networks; keep one"
      ),
      Mistake(
        adding: #""pretraining": {"seeds": [1, 2]}"#,
        "experiment.json: pretraining.seeds: found 2 networks for 1 seed, which are dealt out to them in turn; list as many "
          + "seeds as networks, or a multiple of it"),
      Mistake(
        adding: #""pretraining": {"seeds": [2, 2]}"#,
        "experiment.json: pretraining.seeds: 2 appears twice; keep one"),
      .freezing(
        #"{"start": "20%"}"#,
        "experiment.json: freezing.threshold: missing; \(threshold)"),
      .freezing(
        #"{"threshold": 0.1, "start": "100%"}"#,
        "experiment.json: freezing.start: 100% is not before the run's end (400ep): nothing would ever freeze"),
      .freezing(
        #"{"threshold": 0.1, "start": "400ep"}"#,
        "experiment.json: freezing.start: 400ep is not before the run's end (400ep): nothing would ever freeze"),
      Mistake(
        adding: #""rangeGradient": "dense""#,
        "experiment.json: rangeGradient: has no effect in the recipe \"spqat\", whose weight ranges are fixed; remove it"
      ),
      Mistake(
        adding: #""learningRate": {"schedule": "cosine", "factor": 0.1}"#,
        "experiment.json: learningRate.factor: belongs to the schedule \"step\", not \"cosine\"; remove it, or set "
          + "schedule to \"step\""),
      Mistake(
        adding: #""learningRate": {"schedule": "step", "milestones": ["500ep"], "factor": 0.1}"#,
        "experiment.json: learningRate.milestones: 500ep is not before the run's end (400ep); remove it"),
      Mistake(
        adding: #""optimizer": {"weights": {"rule": "adam", "learningRate": 0.001, "momentum": 0.9}}"#,
        "experiment.json: optimizer.weights.momentum: belongs to the rule \"sgd\", not \"adam\"; remove it, or set rule "
          + "to \"sgd\""),
      Mistake(
        adding: #""optimizer": {"weights": {"beta1": 0.9}}"#,
        "experiment.json: optimizer.weights.beta1: belongs to the rule \"adam\", not \"sgd\"; remove it, or set rule to "
          + "\"adam\""),
      Mistake(
        adding: #""optimizer": {"weights": {"rule": "adam"}}"#,
        "experiment.json: optimizer.weights.learningRate: missing; it is needed with another rule than the recipe's "
          + "\"sgd\""),
    ])
  func combinations(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text) == mistake.message)
  }

  @Test(
    "axes, profiles and overrides say where the value came from",
    arguments: [
      Mistake(
        adding: #""axes": [{"bits.weights": [2, 9]}]"#,
        "experiment.json: bits.weights: found 9, expected a whole number from 2 to 8 (a value of axes)"),
      Mistake(
        adding: #""axes": [{"bits.weight": [2]}]"#,
        "experiment.json: bits.weight: unknown key \"weight\"; did you mean \"weights\"? allowed: \"weights\", "
          + "\"activations\" (a value of axes)"),
      Mistake(
        adding: #""axes": [{"bits.weights": [2, 3], "bits.activations": [2]}]"#,
        "experiment.json: axes.bits.activations: has 1 values beside 2 of bits.weights; lists in one object vary "
          + "together and need equal lengths (put them in objects of their own for a grid)"),
      Mistake(
        adding: #""axes": [{"bits.weights": [2]}, {"bits.weights": [3]}]"#,
        "experiment.json: axes.bits.weights: is varied twice; keep one"),
      Mistake(
        adding: #""axes": [{"subset": \#(Array(1...101))}], "seeds": \#(Array(1...100))"#,
        "experiment.json: seeds: 100 seeds of 101 settings make more than 10000 runs; split the sweep"),
      Mistake(
        adding: #""axes": [{"seeds": [1, 2]}]"#,
        "experiment.json: axes.seeds: unknown axis \"seeds\"; allowed: \"subset\", \"recipe\", \"model\", \"bits\", "
          + "\"images\", \"method\", \"freezing\", \"rangeGradient\", \"gradients\", \"duration\", \"batchSize\", \"microbatch\", "
          + "\"dropLastPartialBatch\", \"augment\", \"optimizer\", \"learningRate\", \"pretraining\""),
      Mistake(
        adding: #""axes": [{"bits.weights": []}]"#,
        "experiment.json: axes.bits.weights: found a list, expected a list of values"),
      Mistake(
        adding: #""profiles": {"quick": {"batchSize": 0}}"#,
        "experiment.json: batchSize: found 0, expected a whole number from 1 to 65536 (from the profile \"quick\")"),
      Mistake(
        adding: #""profiles": {"quick": {"name": "y"}}"#,
        "experiment.json: profiles.quick.name: cannot be set by a profile; remove it"),
      Mistake(
        Mistake.minimal, "experiment.json: batchSize: found 0, expected a whole number from 1 to 65536 (from --set)",
        set: ["batchSize=0"]),
      Mistake(
        Mistake.minimal, "--set: found \"batchSize\", expected path=value, for example freezing.threshold=0.3",
        set: ["batchSize"]),
      Mistake(
        adding: #""axes": [{"bits.weights": [2, 3]}]"#,
        "experiment.json: bits.weights: is varied by the axis bits.weights, so setting it has no effect; choose runs with "
          + "--only, or set axes (from --set)",
        set: ["bits.weights=4"]),
      Mistake(
        #"{"name": "x", "bits": {"weights": 4, "activations": 4}, "method": "fullQAT", "profiles": {"quick": {}}}"#,
        "experiment.json: profiles: no profile \"quik\"; did you mean \"quick\"? there are: \"quick\"", profile: "quik"),
    ])
  func origins(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text, profile: mistake.profile, set: mistake.set) == mistake.message)
  }

  @Test(
    "names that no folder, and titles that no table can have",
    arguments: [
      ("ê", "expected 1 to 64 letters, digits, \"-\", \"_\" or \".\": it names a folder (ASCII letters alone)"),
      ("é", "expected 1 to 64 letters, digits, \"-\", \"_\" or \".\": it names a folder (ASCII letters alone)"),
      ("日本", "expected 1 to 64 letters, digits, \"-\", \"_\" or \".\": it names a folder (ASCII letters alone)"),
      ("x.h5", "whose ending \".h5\" belongs to tables; leave it out"),
      ("x.MD", "whose ending \".md\" belongs to tables; leave it out"),
      ("x.csv", "whose ending \".csv\" belongs to tables; leave it out"),
      ("x.tex", "whose ending \".tex\" belongs to tables; leave it out"),
    ])
  func experimentNames(name: String, problem: String) throws {
    let text = Mistake.minimal.replacing("\"name\": \"x\"", with: "\"name\": \"\(name)\"")
    #expect(try complaint(text) == "experiment.json: name: found \"\(name)\", \(problem)")
  }

  @Test("a NUL in the title is refused")
  func title() throws {
    let text = "{\"title\": \"a\\u0000b\", \(Mistake.minimal.dropFirst())"
    #expect(
      try complaint(text)
        == "experiment.json: title: holds a NUL character (\\u0000), which no table can store; remove it")
  }

  @Test(
    "whole numbers are exact or refused",
    arguments: [
      ("9007199254740993", true), ("123456789012345678", true), ("9223372036854775807", true),
      ("9223372036854775808", false), ("9007199254740993.0", false), ("1e300", false),
    ])
  func wholeNumbers(literal: String, isExact: Bool) throws {
    for member in ["\"seeds\": [\(literal)]", "\"subset\": \(literal)", "\"pretraining\": {\"seed\": \(literal)}"] {
      let text = "{\(member), \(Mistake.minimal.dropFirst())"
      if isExact {
        let settings = try experiment(text).points[0].settings
        let values =
          ["\(settings.seed)", "\(settings.pretraining.seed)"] + [settings.subset].compactMap { $0?.description }
        #expect(values.contains(literal))
      } else {
        let message = try #require(try complaint(text))
        #expect(message.contains("which is not held exactly; expected a whole number of at least"), "\(message)")
      }
    }
  }

  @Test("a pipe is refused, since workers read the experiment again")
  func pipe() throws {
    let folder = try TemporaryFolder()
    let file = folder.file("pipe.json")
    #expect(mkfifo(file, 0o600) == 0)
    let error = #expect(throws: Diagnostic.self) { _ = try Experiment.load(file: file, profile: nil) }
    #expect(
      error?.problem == "is a pipe or a device, which gives its contents once; write the experiment to a file")
  }

  @Test("a missing file is named with a remedy")
  func missingFile() throws {
    let error = #expect(throws: Diagnostic.self) {
      _ = try Experiment.load(file: "nowhere.json", profile: nil)
    }
    #expect(
      error?.description
        == "nowhere.json: no such file; give the path of an experiment such as configs/table2.json")
  }

  @Test("a message is one line whatever the input holds")
  func oneLine() throws {
    for text in ["{\"na\\nme\": 1}", "{\"name\": \"a\\nb\"}", "{\"method\": \"x\\u0000\\ny\", \"name\": \"x\"}"] {
      let message = try #require(try complaint(text))
      #expect(!message.contains { $0.isNewline })
    }
  }
}
