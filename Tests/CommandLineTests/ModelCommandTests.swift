import Foundation
import Testing

/// `spqat model`: what a network consists of, and how it is carried out.
struct ModelCommandTests {
  private struct Summary: Decodable {
    struct Layer: Decodable {
      var name: String
      var output: String
      var parameters: Int
      var freezableWeights: Int
      var macs: Int
    }

    var layers: [Layer]
    var parameters: Int
    var freezableWeights: Int
    var macs: Int
  }

  private struct PlanReport: Decodable {
    struct Step: Decodable {
      struct Memory: Decodable {
        var name: String
        var bytes: Int
        var isShared: Bool
      }

      var name: String
      var fused: [String]
      var memory: [Memory]
      var gradientRegions: [Int]
    }

    var steps: [Step]
    var regions: [Int]
    var sharedBytes: Int
    var totalBytes: Int
  }

  private func output(_ arguments: [String]) throws -> String {
    let output = try Workplace().run(["model"] + arguments)
    #expect(output.status == 0, "\(output.standardError)")
    return output.standardOutput
  }

  @Test(
    "totals of ResNet-20, in words and as JSON",
    arguments: [("spqat", 269_850, 267_696, 40_551_040), ("lts", 272_474, 270_896, 40_813_184)])
  func totals(recipe: String, parameters: Int, freezable: Int, macs: Int) throws {
    let text = try output(["resnet20", "--recipe", recipe, "--bits", "2"])
    let total = try #require(text.split(separator: "\n").last { $0.hasPrefix("total") })
    #expect(total.split(separator: " ").dropFirst().map(String.init) == ["\(parameters)", "\(freezable)", "\(macs)"])
    let json = try output(["resnet20", "--recipe", recipe, "--bits", "2", "--json"])
    let summary = try JSONDecoder().decode(Summary.self, from: Data(json.utf8))
    #expect(summary.parameters == parameters)
    #expect(summary.freezableWeights == freezable)
    #expect(summary.macs == macs)
    #expect(summary.layers.reduce(0) { $0 + $1.macs } == macs)
    #expect(summary.layers.first?.name == "conv1" && summary.layers.first?.output == "32x32x16")
  }

  @Test("networks for ImageNet are shown as for ImageNet")
  func imageNet() throws {
    let json = try output(["mobilenetv2", "--recipe", "lts", "--json"])
    let summary = try JSONDecoder().decode(Summary.self, from: Data(json.utf8))
    #expect(summary.parameters == 3_504_872 && summary.freezableWeights == 3_469_760 && summary.macs == 300_774_272)
    #expect(summary.layers.first?.output == "112x112x32")
  }

  @Test("classes and size change what they should")
  func options() throws {
    let json = try output(["resnet8", "--classes", "100", "--size", "16x8", "--bits", "32", "--json"])
    let summary = try JSONDecoder().decode(Summary.self, from: Data(json.utf8))
    #expect(summary.freezableWeights == 0)
    #expect(summary.layers.first?.output == "8x16x16")
    #expect(summary.layers.last?.parameters == 6500)
  }

  @Test("--plan names every pass once, with regions and bytes that add up")
  func plan() throws {
    let text = try output(["resnet20", "--recipe", "lts", "--bits", "2", "--plan", "--batch", "8"])
    #expect(text.contains("first backward pass inside the pieces of layer2.0.conv2"))
    let json = try output(["resnet20", "--recipe", "lts", "--bits", "2", "--plan", "--batch", "8", "--json"])
    let plan = try JSONDecoder().decode(PlanReport.self, from: Data(json.utf8))
    let named = plan.steps.flatMap(\.fused)
    let runElsewhere = named.filter { $0.hasPrefix("first backward pass inside") }
    let runHere = named.filter { $0.hasSuffix("inside its pieces") }
    #expect(runElsewhere.count == runHere.count && runHere.count > 15)
    let apart = plan.steps.flatMap(\.memory).reduce(0) { $0 + ($1.isShared ? 0 : $1.bytes) }
    #expect(plan.totalBytes == apart + plan.sharedBytes)
    #expect(text.contains("tensors and gradients share \(plan.sharedBytes) bytes"))
    #expect(plan.steps.flatMap(\.gradientRegions).allSatisfy(plan.regions.indices.contains))
    #expect(text.contains("\(plan.totalBytes) bytes"))
  }

  @Test(
    "what is not allowed is one line",
    arguments: [
      (["resnet21"], "resnet20"), (["resnet20", "--bits", "9"], "2 to 8"), (["resnet20", "--classes", "1"], "2 to"),
      (["resnet20", "--size", "32x"], "--size"), (["resnet20", "--recipe", "none"], "spqat"),
      (["resnet20", "--plan", "--batch", "0"], "1 to 65536"),
    ])
  func refusals(arguments: [String], part: String) throws {
    let output = try Workplace().run(["model"] + arguments)
    #expect(output.status == 2 && output.standardOutput.isEmpty)
    #expect(output.errorLines.count == 1 && output.errorLines[0].contains(part), "\(output.standardError)")
  }
}
