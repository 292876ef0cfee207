package import Networks

/// A tensor that a network needs to compute in full precision, by PyTorch's names and layout.
package struct ExpectedTensor: Equatable, Sendable {
  /// "layer1.0.conv1.weight"
  package let name: String
  /// Extents as PyTorch has them.
  package let shape: [Int]
  /// What an untrained network has there.
  package let start: Float
  /// Whether elements below 0 mean nothing, as in a variance.
  package let isVariance: Bool
}

extension Graph {
  /// Weights, biases and batch norms with their running statistics, from the input to the output.
  package var expectedTensors: [ExpectedTensor] {
    nodes.flatMap { node -> [ExpectedTensor] in
      func tensor(_ name: String, _ shape: [Int], start: Float = 0, isVariance: Bool = false) -> ExpectedTensor {
        ExpectedTensor(name: "\(node.name).\(name)", shape: shape, start: start, isVariance: isVariance)
      }
      let channels = node.shape.channels
      switch node.operation {
      case .convolution(let window, let groups, let hasBias, _):
        let inputs = shape(of: node.inputs[0]).channels / groups
        // Linear layers are those with a bias, and PyTorch leaves out the two extents of their windows.
        return hasBias
          ? [tensor("weight", [channels, inputs]), tensor("bias", [channels])]
          : [tensor("weight", [channels, inputs, window.height, window.width])]
      case .batchNorm:
        return [
          tensor("weight", [channels], start: 1), tensor("bias", [channels]), tensor("running_mean", [channels]),
          tensor("running_var", [channels], start: 1, isVariance: true),
        ]
      default: return []
      }
    }
  }
}
