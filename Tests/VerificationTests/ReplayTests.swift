import Diagnostics
import Foundation
import Kernels
import Quantization
import Storage
import TestSupport
import Testing
import Verification

/// A reference trace on disk; named by its file in test reports.
struct TraceFile: Sendable, CustomTestStringConvertible {
  let path: String
  var testDescription: String { URL(fileURLWithPath: path).lastPathComponent }

  static let committed = all(in: "Tests/Fixtures/traces")
  /// Longer traces of ResNet-20, which some machines have beside the package.
  static let shared = all(in: "../shared/traces")

  /// Those to replay: unoptimized code is too slow for more than one.
  static var replayed: [TraceFile] {
    #if DEBUG
      return Array(committed.prefix(1))
    #else
      return committed + shared
    #endif
  }

  /// The traces in a folder relative to the package, smallest first.
  private static func all(in folder: String) -> [TraceFile] {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let files =
      (try? FileManager.default.contentsOfDirectory(
        at: package.appendingPathComponent(folder), includingPropertiesForKeys: [.fileSizeKey])) ?? []
    func size(_ file: URL) -> Int { (try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0 }
    return files.filter { $0.pathExtension == "h5" }
      .sorted { (size($0), $0.path) < (size($1), $1.path) }
      .map { TraceFile(path: $0.standardizedFileURL.path) }
  }
}

struct ReplayTests {
  @Test("the committed traces cover both recipes, with and without freezing")
  func traces() {
    let names = TraceFile.committed.map(\.testDescription)
    for kind in ["fixed-scale-freeze", "fixed-scale-fullqat", "learned-range-freeze", "learned-range-fullqat"] {
      #expect(names.contains { $0.hasPrefix(kind) }, "no trace \(kind)-*.h5 in Tests/Fixtures/traces")
    }
  }

  @Test("training takes the reference's steps", arguments: TraceFile.replayed, [1, 2])
  func replay(file: TraceFile, threads: Int) throws {
    let trace = try Trace(path: file.path)
    let report = try TraceReplay(trace: trace, backend: CPUBackend(threads: threads)).run()
    #expect(report.steps.count == trace.steps)
    for step in report.steps { #expect(step.agrees, "\(step)") }
    for comparison in report.comparisons { #expect(comparison.agrees, "\(comparison)") }
    #expect(report.agrees)
    // Every number beside a reference has a bound, but for one that rounding decides once it has parted two runs.
    let isClean = trace.cleanSteps == trace.steps
    for comparison in report.comparisons where comparison.tolerance == nil {
      #expect(comparison.name == "level moves of frozen weights" && !isClean)
    }
  }

  @Test("gradients in 16-bit integers are float64's to 1e-3, layer by layer", arguments: TraceFile.replayed)
  func integerGradients(file: TraceFile) throws {
    let trace = try Trace(path: file.path)
    let report = try TraceReplay(trace: trace, gradients: .int16, backend: CPUBackend(threads: 2)).run()
    // Learned ranges' gradients are differences of large sums, and differ more.
    let weights = report.firstGradients.filter { $0.name.hasSuffix(".weight") }
    #expect(weights.count >= trace.layers.count)
    for comparison in weights { #expect(comparison.deviation <= 1e-3, "\(comparison)") }
    for step in report.steps.prefix(2) { #expect(step.lossDeviation <= step.lossTolerance, "\(step)") }
    let floats = try TraceReplay(trace: trace, backend: CPUBackend(threads: 2)).run()
    #expect(report.firstGradients.map(\.deviation) != floats.firstGradients.map(\.deviation))
  }

  @Test("the report as JSON gives all it holds")
  func reportAsJSON() throws {
    let file = try #require(TraceFile.committed.first)
    let report = try TraceReplay(trace: Trace(path: file.path), backend: CPUBackend(threads: 1)).run()
    let copy = try JSONDecoder().decode(ReplayReport.self, from: JSONEncoder().encode(report))
    #expect(copy.agrees == report.agrees)
    #expect(copy.steps.map(\.loss) == report.steps.map(\.loss))
    #expect(copy.firstGradients.map(\.name) == report.firstGradients.map(\.name))
  }
}

/// Traces in which one number was changed: the replay has to say which it is.
struct EditedTraceTests {
  private static func copy(_ file: TraceFile, edit: (inout TraceContents) throws -> Void) throws -> ReplayReport {
    let folder = try TemporaryFolder()
    let path = folder.file("edited.h5")
    var contents = try TraceContents(path: file.path)
    try edit(&contents)
    try contents.write(to: path)
    return try TraceReplay(trace: Trace(path: path), backend: CPUBackend(threads: 1)).run()
  }

  private static var files: [TraceFile] {
    ["fixed-scale-freeze-4bit", "learned-range-freeze-4bit"].compactMap { name in
      TraceFile.committed.first { $0.testDescription.hasPrefix(name) }
    }
  }

  @Test("a copy without a change agrees", arguments: files)
  func unchanged(file: TraceFile) throws {
    #expect(try Self.copy(file) { _ in }.agrees)
  }

  @Test(
    "a wrong final tensor, logit, quantizer, loss or start is found and named", arguments: files,
    [0, .nan, 12345, .infinity] as [Double])
  func edited(file: TraceFile, value: Double) throws {
    let report = try Self.copy(file) {
      for name in [
        "final/layer2.0.conv1.weight", "final/bn1.running_var", "eval/logits", "first_gradient/conv1.weight",
      ] { $0.fill(name, with: value) }
      $0.set("steps/quantizer", at: 3, to: value)
      $0.set("steps/loss", at: 2, to: value)
      $0.set("quantizer_init", at: 3, to: value)
    }
    #expect(
      Set(report.comparisons.filter { !$0.agrees }.map(\.name))
        == [
          "layer2.0.conv1.weight", "bn1.running_var", "evaluation logits", "conv1.weight", "quantizer initialization",
          // The reference's own change, which begins with its start.
          "change of the quantizers",
        ])
    #expect(report.steps.filter { !$0.agrees }.map(\.step) == [1, 3])
  }

  @Test(
    "one wrong number is enough", arguments: files,
    [
      "final/layer2.0.conv1.weight", "eval/logits", "first_gradient/conv1.weight", "steps/quantizer", "steps/loss",
      "quantizer_init",
    ])
  func one(file: TraceFile, name: String) throws {
    #expect(try !Self.copy(file) { $0.set(name, at: 2, to: 12345) }.agrees)
  }

  @Test("quantizers that do not learn are found", arguments: TraceFile.replayed)
  func quantizerRate(file: TraceFile) throws {
    let report = try Self.copy(file) { $0.numbers["lr_quant"] = 0 }
    #expect(!report.agrees)
    #expect(!report.quantizerChange.agrees, "\(report.quantizerChange)")
  }

  @Test("other masks and frozen counts are found", arguments: files)
  func masks(file: TraceFile) throws {
    var report = try Self.copy(file) { $0.fill("final/layer1.0.conv1.frozen", with: 1) }
    #expect(!report.finalMasks.agrees && !report.agrees)
    report = try Self.copy(file) { $0.set("steps/frozen", at: 1, to: 30) }
    #expect(report.steps.filter { !$0.agrees }.map(\.step) == [1])
  }

  @Test("counts that no layer can have are refused in a line", arguments: [-1, Int.max, Int.max - 1, 1 << 40])
  func counts(count: Int) throws {
    let file = try #require(Self.files.first)
    let error = #expect(throws: Diagnostic.self) {
      try Self.copy(file) { $0.integerArrays["steps/frozen"]![1] = count }
    }
    let text = try "\(#require(error))"
    #expect(text.contains("steps/frozen is \(count) for layer1.0.conv1 in step 1; allowed: 0 to its"), "\(text)")
    #expect(!text.contains("\n"))
  }

  @Test("a tolerance that is no number is refused", arguments: [.nan, .infinity, -1] as [Double])
  func tolerance(value: Double) throws {
    let file = try #require(Self.files.first)
    let error = #expect(throws: Diagnostic.self) {
      try Self.copy(file) { $0.set("float32_deviation/loss", at: 1, to: value) }
    }
    #expect(try "\(#require(error))".contains("float32_deviation/loss is \(value) in step 2"))
  }
}
