import Configuration
import ConfigurationSupport
import Runs
import Testing
import Training

@Suite("Stored configurations")
struct StoredSpecificationTests {
  @Test(
    "read back as the specification that they were written from",
    arguments: [
      [], ["recipe=\"lts\"", "rangeGradient=\"unfrozen\"", "augment=false"], ["freezing.threshold=0.1", "subset=50"],
      ["learningRate={\"schedule\": \"cosine\"}", "pretraining.learningRate={\"schedule\": \"constant\"}"],
    ])
  func roundTrip(overrides: [String]) throws {
    let plan = try RunPlan(experiment(TinyExperiment.text, set: overrides), data: TinyExperiment.manifest)
    for run in plan.runs {
      let stored = try StoredSpecification(canonicalForm: run.identity.canonicalForm, file: "run.h5")
      var expected = run.spec
      // Full precision has no quantizers to train, so their rule is not stored.
      if expected.quantization == nil { expected.quantizers = expected.weights }
      #expect(stored.spec == expected)
      #expect(stored.normalization == run.normalization)
      #expect(stored.subset == run.subset)
    }
  }

  @Test("of other programs are refused in one line", arguments: ["", "{}", "nonsense"])
  func refused(text: String) {
    let error = #expect(throws: ConfigurationError.self) {
      _ = try StoredSpecification(canonicalForm: text, file: "run.h5")
    }
    #expect(error?.description.hasPrefix("run.h5: its configuration") == true)
  }
}
