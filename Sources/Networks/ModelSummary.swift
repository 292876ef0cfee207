public import Quantization

/// What a network consists of, in numbers that follow from its graph alone.
public struct ModelSummary: Codable, Equatable, Sendable {
  /// A row: what one node of the graph gives and costs.
  public struct Layer: Codable, Equatable, Sendable {
    /// The node's, for example "layer1.0.conv1".
    public var name: String
    /// "convolution", "depthwise convolution", "grouped convolution", "linear", "batch norm", "average pool", "max pool",
    /// "pad shortcut" or "dropout".
    public var kind: String
    /// height x width x channels
    public var output: String
    /// Weights and biases, or γ and β; without quantizers' numbers.
    public var parameters: Int
    /// Weights that freezing may fix.
    public var freezableWeights: Int
    /// Multiply-adds of one image's forward pass, padding included; 0 where the layer is no convolution.
    public var macs: Int
    /// nil: float.
    public var weightBits: Int?
    /// nil: float.
    public var activationBits: Int?
  }

  /// Those that do more than add or rectify, in the graph's order.
  public var layers: [Layer]

  /// - Parameter quantization: nil: full precision, where nothing freezes.
  public init(_ graph: Graph, quantization: QuantizationSpec?) {
    layers = graph.nodes.compactMap { Self.layer($0, graph, quantization) }
  }

  /// Of all layers: weights, biases, γ and β, without quantizers' numbers.
  public var parameters: Int { layers.reduce(0) { $0 + $1.parameters } }
  /// Of all layers; 0 where nothing freezes.
  public var freezableWeights: Int { layers.reduce(0) { $0 + $1.freezableWeights } }
  /// Multiply-adds of one image's forward pass through all convolutions and linear layers, padding included.
  public var macs: Int { layers.reduce(0) { $0 + $1.macs } }

  private static func layer(_ node: Graph.Node, _ graph: Graph, _ quantization: QuantizationSpec?) -> Layer? {
    let output = node.shape
    var layer = Layer(
      name: node.name, kind: "", output: "\(output)", parameters: 0, freezableWeights: 0, macs: 0, weightBits: nil,
      activationBits: nil)
    switch node.operation {
    case .images, .add, .rectify: return nil
    case .convolution(let window, let groups, let hasBias, let place):
      let inputs = graph.shape(of: node.inputs[0]).channels
      let weights = output.channels * window.height * window.width * (inputs / groups)
      let quantizers = LayerQuantizers(quantization, node.name, place)
      layer.kind =
        hasBias
        ? "linear" : groups == 1 ? "convolution" : groups == inputs ? "depthwise convolution" : "grouped convolution"
      layer.parameters = weights + (hasBias ? output.channels : 0)
      layer.freezableWeights = quantizers.freezes ? weights : 0
      layer.macs = output.height * output.width * weights
      layer.weightBits = quantizers.weight?.bits
      layer.activationBits = quantizers.activation?.bits
    case .batchNorm:
      layer.kind = "batch norm"
      layer.parameters = 2 * output.channels
    case .averagePool: layer.kind = "average pool"
    case .maxPool: layer.kind = "max pool"
    case .padShortcut: layer.kind = "pad shortcut"
    case .dropout: layer.kind = "dropout"
    }
    return layer
  }
}
