import Foundation
import Kernels
import Storage
import Testing
import Training

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
    let report = try TraceReplay(trace: trace, context: ComputeContext(threads: threads)).run()
    #expect(report.steps.count == trace.steps)
    #expect(report.quantizerStartDeviation.agrees, "\(report.quantizerStartDeviation)")
    for step in report.steps { #expect(step.agrees, "\(step)") }
    for gradient in report.firstGradients { #expect(gradient.agrees, "\(gradient)") }
    #expect(report.finalMasks.agrees, "\(report.finalMasks)")
    #expect(report.agrees)

    // Rounding parts two runs sooner or later; where it has not yet, they end in the same place.
    guard trace.cleanSteps == trace.steps else { return }
    for weight in report.finalWeights { #expect(weight.deviation <= 1e-3, "\(weight)") }
    #expect(report.evaluationLogits.deviation <= 1e-3, "\(report.evaluationLogits)")
    for step in report.steps { #expect(step.quantizerDeviation <= 1e-4, "\(step)") }
    let attributes = try HDF5File.open(file.path).root
    if try attributes.hasAttribute("frozen_level_moves") {
      #expect(try report.levelMovesOfFrozenWeights == attributes.attribute("frozen_level_moves"))
    }
  }

  @Test("the report as JSON gives all it holds")
  func reportAsJSON() throws {
    let file = try #require(TraceFile.committed.first)
    let report = try TraceReplay(trace: Trace(path: file.path), context: ComputeContext(threads: 1)).run()
    let copy = try JSONDecoder().decode(TraceReplay.Report.self, from: JSONEncoder().encode(report))
    #expect(copy.agrees == report.agrees)
    #expect(copy.steps.map(\.loss) == report.steps.map(\.loss))
    #expect(copy.firstGradients.map(\.name) == report.firstGradients.map(\.name))
  }
}
