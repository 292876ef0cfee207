import Configuration
import ConfigurationSupport
import Diagnostics
import Foundation
import Kernels
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
    let plan = try RunPlan(experiment(TinyExperiment.text, set: overrides), data: TinyExperiment.data)
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
    let error = #expect(throws: Diagnostic.self) {
      _ = try StoredSpecification(canonicalForm: text, file: "run.h5")
    }
    #expect(error?.description.hasPrefix("run.h5: its configuration") == true)
  }

  @Test(
    "with a number changed or a line missing are read, or refused in one line; what is read makes a network",
    arguments: [[], ["recipe=\"lts\"", "learningRate={\"schedule\": \"cosine\"}", "subset=50"]])
  func edited(overrides: [String]) throws {
    let plan = try RunPlan(experiment(TinyExperiment.text, set: overrides), data: TinyExperiment.data)
    var numbers = 0
    for run in plan.runs {
      let lines = run.identity.canonicalForm.split(separator: "\n").dropFirst().dropLast().map {
        $0.hasSuffix(",") ? $0.dropLast() : $0
      }
      for index in lines.indices {
        let missing = lines.indices.filter { $0 != index }.map { lines[$0] }
        try check(missing, mustRefuse: false)
        for number in ["0", "-1", "2147483648", "4611686018427387904"] {
          for edited in variants(of: lines[index], with: number) {
            var form = lines
            form[index] = edited
            try check(form, mustRefuse: number == "-1" && !isFree(edited))
            numbers += 1
          }
        }
      }
    }
    #expect(numbers > 200)
  }

  /// The line with each of its numbers in turn replaced.
  private func variants(of line: Substring, with number: String) -> [Substring] {
    guard let colon = line.range(of: ": ")?.upperBound else { return [] }
    return line[colon...].ranges(of: /-?[0-9][0-9.e+-]*/).filter { range in
      range.lowerBound == colon || line[line.index(before: range.lowerBound)] != "\""
    }.map { Substring(line.replacingCharacters(in: $0, with: number)) }
  }

  /// Hashes are text; the version of the algorithm is not read; a mean may be anything.
  private func isFree(_ line: Substring) -> Bool {
    ["data", "parent", "algorithm", "data.mean"].contains { line.hasPrefix("  \"\($0)\":") }
  }

  private func check(_ lines: [Substring], mustRefuse: Bool) throws {
    let form = "{\n" + lines.joined(separator: ",\n") + "\n}\n"
    let stored: StoredSpecification
    do {
      stored = try StoredSpecification(canonicalForm: form, file: "run.h5")
    } catch {
      #expect(error.description.hasPrefix("run.h5: its configuration has no usable \""), "\(error)")
      #expect(!error.description.contains("\n"))
      return
    }
    #expect(!mustRefuse, "\(form)")
    _ = try Learner(spec: stored.spec, backend: CPUBackend(threads: 1), batch: 1)
  }
}
