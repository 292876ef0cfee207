import Configuration
import ConfigurationSupport
import Foundation
import TestSupport
import Testing

@Suite("configs/schema.json and the decoder")
struct SchemaTests {
  private let file = repositoryRoot.appendingPathComponent("configs/schema.json")

  @Test("the committed file is the one that the settings describe: 'make schema' writes it")
  func committed() throws {
    #expect(try String(contentsOf: file, encoding: .utf8) == ExperimentSchema.text)
  }

  @Test("every section is described once, and editors have a line on every key")
  func described() throws {
    #expect(Set(ConfigurationKeys.sections.dropFirst()).isSubset(of: ConfigurationKeys.described.map(\.path)))
    for outline in ConfigurationKeys.outlines {
      guard case .value(let schema) = outline.content else { continue }
      #expect(schema.text?.hasSuffix(".") == true, "\(outline)")
    }
  }

  @Test("recipes' own values are defaults, or named where they differ")
  func defaults() throws {
    func property(_ path: String...) throws -> [String: Any] {
      let json = try JSONSerialization.jsonObject(with: Data(ExperimentSchema.text.utf8))
      return try #require(
        path.reduce(json as? [String: Any]) { object, key in
          (object?["properties"] as? [String: Any])?[key] as? [String: Any]
            ?? ((object?["$defs"] as? [String: Any])?["settings"] as? [String: Any])
            .flatMap { ($0["properties"] as? [String: Any])?[key] as? [String: Any] }
        })
    }
    #expect(try property("duration")["default"] == nil)
    #expect(
      try property("duration")["description"] as? String
        == "Length of the training. Default: \"400ep\"; of networks for ImageNet \"100ep\".")
    #expect(try property("augment")["default"] as? Bool == true)
    #expect(try property("pretraining", "seed")["default"] as? Int == 1)
    #expect(try property("freezing", "threshold")["default"] == nil)
    #expect(try property("batchSize")["default"] == nil)
    #expect(
      try property("batchSize")["description"] as? String
        == "Images a step. Default: 256 in spqat, 128 in lts; of networks for ImageNet 1024 in spqat, 256 in lts.")
    #expect(
      try property("optimizer", "quantizers", "beta1")["description"] as? String
        == "With the rule \"adam\". Momentum of the gradient's average. Default: 0.9 in lts.")
  }

  /// Members that are added to a valid experiment, of which the decoder refuses those that are wrong in themselves.
  private static let allowed = [
    "", #""subset": 1"#, #""recipe": "lts", "rangeGradient": "dense""#, #""bits": {"weights": 2, "activations": 8}"#,
    #""method": "freeze", "freezing": {"threshold": "sine"}"#,
    #""method": "freeze", "freezing": {"threshold": 0, "distanceEMA": 0.5, "start": "3it", "criterion": "distance"}"#,
    #""optimizer": {"weights": {"rule": "adam", "learningRate": 0.1, "epsilon": 1e-9}}"#,
    #""learningRate": {"schedule": "step", "milestones": ["5%"], "factor": 1}"#,
    #""pretraining": {"duration": "1ep", "optimizer": {"batchNorm": {"momentum": 0}}, "seed": 0}"#,
    #""pretraining": {"weights": "w.safetensors"}"#,
    #""slurm": {"time": "1-00:00:00", "memory": "1T", "cpus": 1024, "partition": "a,b"}"#,
    #""comparison": {"margin": 100, "confidence": 0.5, "test": "equivalence"}"#,
    #""axes": [{"bits.weights": [2], "bits.activations": [3]}, {"augment": [true, false]}]"#,
    #""profiles": {"p": {"duration": "1ep", "subset": null, "freezing": null}}"#,
    #""profiles": {"p": {"comparison": {"margin": null}, "optimizer": {"weights": {"momentum": null}}}}"#,
    #""seeds": [0, 7]"#,
    #""seeds": [1, 2, 3, 4], "pretraining": {"seeds": [5, 6]}"#,
  ]
  private static let refused = [
    #""nmae": 1"#, #""subset": 0"#, #""subset": 1.5"#, #""recipe": "qat""#, #""model": "vgg""#,
    #""bits": {"weights": 1}"#, #""bits": {"weights": 9}"#, #""bits": {"weight": 4}"#, #""method": "none""#,
    #""freezing": {"threshold": -0.1}"#, #""freezing": {"threshold": "cosine"}"#, #""freezing": {"start": "5"}"#,
    #""freezing": {"distanceEMA": 1}"#, #""freezing": {"criterion": 1}"#, #""duration": "20%""#, #""duration": 20"#,
    #""batchSize": 0"#, #""batchSize": 65537"#, #""augment": 1"#, #""optimizer": {"weights": {"learningRate": 0}}"#,
    #""optimizer": {"weights": {"momentum": 1}}"#, #""optimizer": {"weights": {"weightDecay": -1}}"#,
    #""learningRate": {"schedule": "step", "milestones": [], "factor": 1}"#,
    #""learningRate": {"schedule": "step", "milestones": ["5%"], "factor": 1.5}"#,
    #""pretraining": {"augment": true}"#, #""pretraining": {"optimizer": {"quantizers": {}}}"#,
    #""pretraining": {"seed": -1}"#, #""pretraining": {"seeds": []}"#, #""slurm": {"time": "2h"}"#,
    #""slurm": {"memory": "0G"}"#,
    #""slurm": {"cpus": 1025}"#, #""slurm": {"partition": "-a"}"#, #""comparison": {"margin": 0}"#,
    #""comparison": {"confidence": 1}"#, #""comparison": {"test": "t"}"#, #""axes": [{}]"#,
    #""axes": [{"bits.weights": []}]"#, #""axes": [{"seeds": [[1], [2]]}]"#, #""axes": [{"slurm.cpus": [1]}]"#,
    #""profiles": {"p": {"name": "y"}}"#, #""profiles": {"p": {"batchSize": 0}}"#,
    #""profiles": {"p": {"freezing": {"stopp": null}}}"#, #""seeds": []"#,
    #""seeds": [1, 1]"#, #""seeds": [-1]"#, #""name": "../x""#, #""name": "x", "title": 1"#,
  ]

  /// The valid experiment with `members` in place of its own.
  private static func text(_ members: String) throws -> String {
    let patch = try JSONParser.parse(Array("{\(members)}".utf8))
    let base = try JSONParser.parse(Array(Mistake.minimal.utf8))
    guard case .object(let replaced) = patch, case .object(let kept) = base else { return "" }
    return JSONValue.object(kept.filter { patch[$0.key] == nil } + replaced).text
  }

  @Test("the decoder takes what the schema is meant to allow, and nothing of what it is meant to refuse")
  func decoder() throws {
    for members in Self.allowed { #expect(try complaint(Self.text(members)) == nil, "\(members)") }
    for members in Self.refused { #expect(try complaint(Self.text(members)) != nil, "\(members)") }
  }

  @Test(
    "an independent validator takes and refuses the same, and the committed experiments",
    .enabled(if: PythonInterpreter.has("jsonschema"), "Scripts/test-python.sh makes a Python with jsonschema"))
  func validator() throws {
    let folder = try TemporaryFolder()
    let texts = try (Self.allowed + Self.refused).map(Self.text)
    let list = try folder.write("[\(texts.joined(separator: ",\n"))]", to: "list.json")
    let script = try folder.write(
      """
      import json, sys
      from jsonschema import Draft202012Validator
      schema = json.load(open(sys.argv[1]))
      Draft202012Validator.check_schema(schema)
      validator = Draft202012Validator(schema)
      print("".join("+" if validator.is_valid(e) else "-" for e in json.load(open(sys.argv[2]))), end="")
      print("".join("+" if validator.is_valid(json.load(open(f))) else "-" for f in sys.argv[3:]))
      """, to: "validate.py")
    let experiments = try FileManager.default.contentsOfDirectory(atPath: file.deletingLastPathComponent().path)
      .filter { $0.hasSuffix(".json") && $0 != "schema.json" }
      .map { file.deletingLastPathComponent().appendingPathComponent($0).path }
    #expect(experiments.count >= 4)
    let result = try PythonInterpreter.run([script, file.path, list] + experiments)
    let signs =
      String(repeating: "+", count: Self.allowed.count)
      + String(repeating: "-", count: Self.refused.count) + String(repeating: "+", count: experiments.count)
    #expect(result.output == signs + "\n")
    #expect(result.status == 0)
  }

  @Test("unknown keys are refused everywhere")
  func closed() throws {
    func check(_ object: [String: Any], _ place: String) {
      if object["properties"] != nil, !["$defs/settings", "$defs/overrides"].contains(place) {
        let isClosed =
          object["additionalProperties"] as? Bool == false || object["unevaluatedProperties"] as? Bool == false
        #expect(isClosed, "\(place) lets unknown keys through")
      }
      for (key, value) in object {
        let inner = (value as? [[String: Any]]) ?? (value as? [String: Any]).map { [$0] } ?? []
        for schema in inner { check(schema, place.isEmpty ? key : "\(place)/\(key)") }
      }
    }
    let schema = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
    check(try #require(schema as? [String: Any]), "")
  }
}
