public import ArgumentParser
import Configuration
import Foundation
import Kernels
public import Networks
import Recipes

struct ModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Show a network: its layers, output shapes, parameters, freezable weights and multiply-adds.",
    discussion: """
      With --plan, how a batch is carried out: every operation with what is fused into it, the regions of memory that its \
      output's gradients lie in, and its bytes.
      """)

  @Argument(help: "The network: \(Architecture.all.map(\.name).joined(separator: ", ")).") var name: Architecture
  @Option(help: "The recipe, which decides about shortcuts, quantizers and what may freeze.")
  var recipe = Recipe.all[0]
  @Option(help: "Bits of weights and activations, 2 to 8; 32: full precision.") var bits = 4
  @Option(help: "Classes to tell apart (default: 10, or 1000 of networks for ImageNet).") var classes: Int?
  @Option(
    help: ArgumentHelp(
      "Pixels of an image: one side, or width and height (default: 32, or 224 of networks for ImageNet).",
      valueName: "N|WxH"))
  var size: ImageSize?
  @Option(help: "Images of a batch, for --plan.") var batch = 128
  @Flag(help: "Show what runs and where its memory lies.") var plan = false
  @Flag(help: "Print one JSON object.") var json = false

  /// "32" or "32x16": width and height in pixels.
  struct ImageSize: ExpressibleByArgument, CustomStringConvertible {
    var width: Int
    var height: Int

    init(width: Int, height: Int) {
      self.width = width
      self.height = height
    }

    init?(argument: String) {
      let sides = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
      guard sides.count <= 2, sides.allSatisfy({ (1...4096).contains($0) }) else { return nil }
      self.init(width: sides[0], height: sides[sides.count - 1])
    }

    var description: String { width == height ? "\(width)" : "\(width)x\(height)" }
  }

  mutating func validate() throws {
    guard (2...8).contains(bits) || bits == 32 else {
      throw ValidationError("--bits is \(bits); allowed: 2 to 8, or 32 for full precision")
    }
    if let classes, !(2...1_000_000).contains(classes) {
      throw ValidationError("--classes is \(classes); allowed: 2 to 1000000")
    }
    guard (1...65_536).contains(batch) else { throw ValidationError("--batch is \(batch); allowed: 1 to 65536") }
  }

  func run() throws {
    let size = size ?? ImageSize(width: name.imageSide, height: name.imageSide)
    let classes = classes ?? name.classes
    let spec = recipe.model(name, classes: classes, height: size.height, width: size.width)
    let graph = try spec.graph()
    let quantization =
      bits == 32
      ? nil
      : recipe.quantization(weightBits: bits, activationBits: bits)
    let head = Head(
      network: name.name, recipe: recipe.name, bits: bits, classes: classes, width: size.width, height: size.height)
    if plan {
      let plan = try Plan(graph, quantization: quantization, batch: batch, on: CPUBackend(threads: 1))
      let report = PlanReport(head, plan)
      try print(json ? jsonText(report) : report.text)
    } else {
      let report = SummaryReport(head, ModelSummary(graph, quantization: quantization))
      try print(json ? jsonText(report) : report.text)
    }
  }

  private func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}

extension ModelCommand {
  struct Head: Codable {
    var network: String
    var recipe: String
    var bits: Int
    var classes: Int
    var width: Int
    var height: Int

    var text: String {
      "\(network), recipe \(recipe), \(bits == 32 ? "full precision" : "\(bits) bits"), \(classes) classes, "
        + "images of \(width)x\(height)"
    }
  }

  struct SummaryReport: Codable {
    var model: Head
    var layers: [ModelSummary.Layer]
    var parameters: Int
    var freezableWeights: Int
    var macs: Int

    init(_ model: Head, _ summary: ModelSummary) {
      self.model = model
      layers = summary.layers
      parameters = summary.parameters
      freezableWeights = summary.freezableWeights
      macs = summary.macs
    }

    var text: String {
      func number(_ value: Int) -> String { value == 0 ? "-" : "\(value)" }
      func bits(_ layer: ModelSummary.Layer) -> String {
        layer.macs == 0 ? "-" : "\(layer.weightBits ?? 32)/\(layer.activationBits ?? 32)"
      }
      let head = ["layer", "kind", "output", "parameters", "freezable", "MACs", "bits w/a"]
      let rows = layers.map { layer in
        [
          layer.name, layer.kind, layer.output, number(layer.parameters), number(layer.freezableWeights),
          number(layer.macs), bits(layer),
        ]
      }
      let total = ["total", "", "", "\(parameters)", "\(freezableWeights)", "\(macs)", ""]
      return model.text + "\n" + aligned([head] + rows + [total], rightFrom: 3)
    }
  }

  struct PlanReport: Codable {
    struct Step: Codable {
      var name: String
      var kind: String
      var output: String
      var fused: [String]
      var memory: [Plan.Memory]
      /// Of the output's gradients, as indices of `regions`.
      var gradientRegions: [Int]
    }

    var model: Head
    var batch: Int
    var steps: [Step]
    /// Bytes of each region of gradients.
    var regions: [Int]
    /// Of the memory in which tensors and regions lie, each for its life.
    var sharedBytes: Int
    var totalBytes: Int

    init(_ model: Head, _ plan: Plan) {
      self.model = model
      batch = plan.batch
      steps = plan.steps.indices.map { index in
        Step(
          name: plan.steps[index].name, kind: plan.title(of: index), output: "\(plan.steps[index].output.shape)",
          fused: plan.fusions(of: index), memory: plan.memory(of: index),
          gradientRegions: plan.gradientRegions(of: index))
      }
      regions = plan.regions.map { 4 * $0.count }
      sharedBytes = plan.sharedBytes
      totalBytes = plan.totalBytes
    }

    var text: String {
      var lines = [
        "\(model.text), batch \(batch): \(steps.count) operations, \(totalBytes) bytes",
        "tensors and gradients share \(sharedBytes) bytes, each for its life",
      ]
      for (index, step) in steps.enumerated() {
        let regions = step.gradientRegions.map(String.init).joined(separator: " and ")
        lines.append("")
        lines.append(
          "\(index) \(step.name), \(step.kind), \(step.output)"
            + (regions.isEmpty ? "" : ", gradient in region \(regions)"))
        lines += step.fused.map { "    \($0)" }
        lines += step.memory.map { "    \($0.bytes) bytes\($0.isShared ? " shared" : ""): \($0.name)" }
      }
      return lines.joined(separator: "\n")
    }
  }
}

/// Columns as wide as their widest cell, those from `rightFrom` on to the right.
private func aligned(_ rows: [[String]], rightFrom: Int) -> String {
  let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
  return rows.map { row in
    let cells = row.enumerated().map { column, cell in
      let space = String(repeating: " ", count: widths[column] - cell.count)
      return column >= rightFrom ? space + cell : cell + space
    }
    var line = cells.joined(separator: "  ")
    while line.last == " " { line.removeLast() }
    return line
  }.joined(separator: "\n")
}

extension Architecture: ExpressibleByArgument {}
