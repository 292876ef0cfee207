import Kernels
import Networks
import Testing

struct GraphTests {
  private static func graph(
    _ height: Int, _ width: Int, channels: Int = 3, _ network: (inout Graph, Graph.Value) -> Graph.Value
  ) throws(NetworkError) -> Graph {
    try Graph(images: .init(height: height, width: width, channels: channels), network: network)
  }

  @Test("shapes follow from the operations")
  func shapes() throws {
    let graph = try Self.graph(31, 20) { graph, images in
      var x = graph.convolution("stem", images, channels: 8, kernel: 7, stride: 2)
      x = graph.maxPool("pool", x, kernel: 3, stride: 2)
      x = graph.convolution("depthwise", x, channels: 8, kernel: 3, groups: 8)
      x = graph.rectify(graph.batchNorm("bn", x), by: .relu6)
      x = graph.padShortcut("shortcut", x, channels: 20, stride: 2)
      x = graph.convolution("unpadded", x, channels: 6, kernel: 2, padding: 0)
      x = graph.globalAveragePool("average", graph.add(x, x))
      return graph.linear("fc", x, outputs: 5)
    }
    #expect(
      graph.nodes.map { "\($0.name) \($0.shape)" } == [
        "images 31x20x3", "stem 16x10x8", "pool 8x5x8", "depthwise 8x5x8", "bn 8x5x8", "bn.relu6 8x5x8",
        "shortcut 4x3x20", "unpadded 3x2x6", "unpadded.add 3x2x6", "average 1x1x6", "fc 1x1x5",
      ])
    #expect(graph.logits.node == graph.nodes.count - 1)
  }

  @Test("what does not fit is said in one line, the first fault first")
  func faults() {
    func fault(_ network: (inout Graph, Graph.Value) -> Graph.Value) -> String? {
      do {
        _ = try Self.graph(4, 6, network)
        return nil
      } catch {
        return error.description
      }
    }
    #expect(fault { $0.linear("fc", $1, outputs: 2) } == "fc takes one pixel, not 4x6x3")
    #expect(fault { $0.convolution("conv", $1, channels: 8, kernel: 1) } == "conv is 4x6x8; logits are 1x1")
    #expect(
      fault { graph, images in
        graph.add(graph.convolution("conv", images, channels: 8, kernel: 1), images)
      } == "conv.add adds 4x6x3 to 4x6x8")
    #expect(
      fault { $0.convolution("conv", $1, channels: 8, kernel: 7, padding: 1) }
        == "conv sees 7x7 pixels with padding 1, its input has 4x6x3")
    #expect(
      fault { $0.convolution("conv", $1, channels: 8, kernel: 3, groups: 2) }
        == "conv cannot take 3 channels to 8 in 2 groups")
    #expect(fault { $0.padShortcut("cut", $1, channels: 2, stride: 1) } == "cut cannot pad 3 channels to 2")
    #expect(
      fault { $0.maxPool("pool", $1, kernel: 16, stride: 16) }
        == "pool has windows of 16x16; at most 255 positions are possible")
  }

  @Test("a specification without a network says why", arguments: Architecture.all)
  func specifications(architecture: Architecture) throws {
    var spec = ModelSpec(
      architecture: architecture, shortcut: .pad, batchNormBeforeLinear: true, initialization: .kaimingFanIn,
      classes: 1, inputHeight: 8, inputWidth: 16)
    #expect(throws: NetworkError(description: "found one class, allowed: 2 or more")) {
      try spec.graph()
    }
    spec.classes = 2
    #expect(try spec.graph().nodes.last!.shape == Graph.Shape(height: 1, width: 1, channels: 2))
    spec.inputWidth = 0
    #expect(
      throws: NetworkError(
        description: "\(architecture.name) does not take images of 0x8: images have shape 8x0x3")
    ) { try spec.graph() }
  }

  @Test("names of networks are their own, and lead back to them")
  func names() {
    #expect(Set(Architecture.all.map(\.name)).count == Architecture.all.count)
    for architecture in Architecture.all { #expect(Architecture(rawValue: architecture.name) == architecture) }
    #expect(Architecture(rawValue: "resnet21") == nil)
  }
}
