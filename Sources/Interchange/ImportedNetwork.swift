import Diagnostics
import Files
import Foundation
public import Networks
public import Recipes

/// A full-precision network whose weights come from a safetensors file.
public struct ImportedNetwork {
  /// For images of the size that the network is published for.
  public let model: ModelSpec
  /// Decides about shortcuts, activations and batch norm.
  public let recipe: Recipe
  /// One for each tensor of the network.
  public let weights: ImportedWeights
  private let source: SafetensorsFile

  /// Keys of the metadata by which a file says which network it holds.
  private enum Key {
    static let model = "model"
    static let recipe = "recipe"
    static let source = "source"
  }

  /// - Parameters:
  ///   - model: nil: what the file's metadata says.
  ///   - recipe: nil: what the file's metadata says, else the first.
  ///   - classes: nil: as many as the file's last layer has outputs.
  /// - Throws: where file and network do not fit, in one line.
  public init(_ file: SafetensorsFile, model: Architecture?, recipe: Recipe?, classes: Int? = nil) throws {
    let metadata = file.header.metadata
    guard let architecture = model ?? metadata[Key.model].flatMap(Architecture.init(rawValue:)) else {
      throw Diagnostic(file.path, "does not say which network it holds", remedy: "give it with --model")
    }
    let recipe = recipe ?? metadata[Key.recipe].flatMap(Recipe.init(named:)) ?? Recipe.all[0]
    var spec = recipe.model(
      architecture, classes: 2, height: architecture.imageSide, width: architecture.imageSide)
    let classifier = try spec.graph().expectedTensors.last!
    spec.classes =
      classes ?? file.header.entries.first { $0.name == classifier.name }?.shape.first.map { max(2, $0) } ?? 2
    self.model = spec
    self.recipe = recipe
    weights = try ImportedWeights(file, for: spec)
    source = file
  }

  /// What became of every tensor, for people.
  public var account: String {
    var lines = [
      "\(source.path) (SHA-256 \(weights.sha256.prefix(12))…): \(source.header.entries.count) tensors",
      "  \(weights.tensors.count - weights.absent.count) are all that \(model.architecture) has in common with its source",
    ]
    if !weights.ignored.isEmpty { lines.append("  \(weights.ignored.count) counters of batch norms are left out") }
    if !weights.absent.isEmpty {
      lines.append("  not in the file, begin untrained: \(weights.absent.joined(separator: ", "))")
    }
    if let published = weights.published { lines.append("  these are \(published)") }
    return lines.joined(separator: "\n")
  }

  /// Replaces the file at `path` by the network as safetensors, with model, recipe and source as metadata.
  public func write(to path: String) throws {
    var metadata = [
      "format": "pt", Key.model: model.architecture.name, Key.recipe: recipe.name,
      Key.source: source.header.metadata[Key.source] ?? source.path, "imported_sha256": weights.sha256,
    ]
    metadata[PublishedWeights.checksumKey] = source.header.metadata[PublishedWeights.checksumKey]
    let file = try Safetensors.file(weights.tensors, metadata: metadata)
    try Array(file).withUnsafeBytes { bytes in try replaceFile(at: path, with: bytes) }
  }
}
