// One file although it is long: whoever asks what is fused, or where a tensor lies, finds every decision here.

public import Kernels
public import Quantization

/// How a graph is carried out for a batch: which operations are fused into which, and where every tensor lies. A value
/// without memory, which can be printed; `Network` allocates what it says and runs it.
///
/// All decisions about fusion and memory are in this file:
/// 1. A batch norm, an addition behind it, a rectifier behind that, and the quantization for every convolution that reads
///    the result are one step: one pass forward.
/// 2. The statistics of a batch norm are formed by the convolution before it while its output is in the cache.
/// 3. The way back through a batch norm takes two passes, since the second needs sums that the first one forms. The first
///    runs inside the pieces of the convolution behind it, where that convolution's gradient arrives last; the second
///    inside the convolution before it, as an affine output gradient.
/// 4. Tensors and gradients share one piece of memory, each for its life: a tensor's ends when the way back has read it, or
///    with its last reader where the way back needs it no more; a gradient's begins when the backward pass reaches it. The
///    first pass back through a batch norm writes over one of the gradients that it adds up. Images and logits lie apart.
public struct Plan: Sendable {
  /// Images that the memory is for.
  public let batch: Int
  /// In forward order.
  public private(set) var steps: [Step] = []
  /// What gradients lie in.
  public private(set) var regions: [Region] = []
  /// Bytes of the memory that tensors and gradients share.
  public private(set) var sharedBytes = 0
  /// The region of the logits' gradient.
  public private(set) var logitsGradient = 0

  /// One pass forward and its way back.
  public struct Step: Sendable {
    /// The first node's.
    public let name: String
    /// The nodes of the graph that the step carries out.
    public let nodes: [Graph.Node]
    /// The steps whose outputs it reads.
    public let inputs: [Int]
    /// Which layer runs, and how it is fused with its neighbours.
    public internal(set) var kind: Kind
    /// What the last of its nodes gives, and where its gradients lie.
    public internal(set) var output: Tensor
  }

  /// A place for one gradient, or for several that are written over one another.
  public struct Region: Sendable {
    /// Of the floats.
    public let count: Int
    /// In bytes, in the shared memory.
    public internal(set) var offset: Int
    /// The times of its first writing and last reading.
    public let life: ClosedRange<Int>
  }

  /// By a step's first node, with all that is decided about it.
  public enum Kind: Sendable {
    case images(Images)
    case convolution(Convolution)
    case normalization(Normalization)
    case pooling(Pooling)
    case dropout(Dropout)
  }

  /// What a step gives: as floats, quantized for the convolutions that read it, or both.
  public struct Tensor: Sendable {
    /// Of one image.
    public let shape: Graph.Shape
    /// Whether there are floats, or sums that stand for them.
    public internal(set) var holdsValues = false
    /// Whether the values are an integer convolution's sums in 16 bits, which hold any of them.
    public internal(set) var holdsSums = false
    /// Whether the way back reads them; else they are gone by then.
    public internal(set) var keepsValues = true
    /// Of the floats, in bytes, in the shared memory; nil: they lie apart.
    public internal(set) var offset: Int?
    /// One byte an element each.
    public internal(set) var copies: [QuantizedCopy] = []
    /// Regions of the gradients that the readers of the floats send, in the order of their arrival.
    public internal(set) var gradients: [Int] = []
    /// The step whose gradient arrives last.
    var lastSender: Int?

    /// Bytes of a value.
    var valueBytes: Int { holdsSums ? 2 : 4 }
    /// Regions of all gradients that arrive, those of copies last.
    package var arriving: [Int] { gradients + copies.compactMap(\.gradient) }
  }

  /// A tensor as levels, for the one convolution that reads it so.
  public struct QuantizedCopy: Sendable {
    /// The convolution that reads it.
    public let reader: Int
    /// 2...8; levels are 0...2^bits − 1.
    public let bits: Int
    /// In bytes, in the shared memory.
    public internal(set) var offset = 0
    /// The region of its gradient.
    public internal(set) var gradient: Int?
  }

  /// Where a pass over a tensor runs.
  public enum Placement: Hashable, Sendable {
    case alone
    /// In the step of this number, which has the tensor in its cache, piece by piece.
    case inside(Int)
  }

  /// The start: images are filled in from outside.
  public struct Images: Sendable {
    /// The region of the images' gradient; nil where no quantizer learns from it.
    public internal(set) var gradient: Int?
  }

  /// A convolution or, with a bias, a linear layer.
  public struct Convolution: Sendable {
    /// What the products of the forward pass are formed from.
    public enum Arithmetic: Hashable, Sendable {
      /// Float weights and input.
      case floats
      /// Quantized weights, a float input.
      case quantizedWeights
      /// Both quantized, their values multiplied as floats: where integers cannot hold the sums.
      case quantizedValues
      /// Both quantized, their levels multiplied as integers, exactly.
      case integers

      package init(_ shape: ConvolutionShape, _ quantizers: LayerQuantizers, _ backend: any Backend) {
        if let weight = quantizers.weight, let activation = quantizers.activation {
          let fits =
            quantizers.weightLevelsFitBytes
            && backend.supportsIntegers(
              shape, maximumInput: activation.maximumLevel, maximumWeight: weight.grid.maximumLevel)
          self = fits ? .integers : .quantizedValues
        } else {
          self = quantizers.weight == nil ? .floats : .quantizedWeights
        }
      }
    }

    /// What the way back starts from.
    public enum OutputGradient: Hashable, Sendable {
      case region(Int)
      /// a[c]·x + b[c]·y + d[c] with x in the region and y the output: the second pass back through the step's batch norm.
      case affine(region: Int, normalization: Int)
    }

    /// With the whole batch.
    public let shape: ConvolutionShape
    /// From which its quantization follows.
    public let place: Graph.Place
    /// True for linear layers; no batch norm's second pass runs inside these.
    public let hasBias: Bool
    /// Of the forward pass; follows from bits, shape and back end.
    public let arithmetic: Arithmetic
    /// Whether 16 bits hold every sum of products of levels.
    let sumsFit16Bits: Bool
    /// nil: float.
    public let weightBits: Int?
    /// Weights that may freeze.
    public let freezableWeights: Int
    /// Which of the input's copies it reads; nil: the floats.
    public let copy: Int?
    /// The batch norm whose statistics are formed here.
    public internal(set) var statisticsOf: Int?
    /// The batch norm whose first backward pass runs here.
    public internal(set) var firstPassOf: Int?
    /// From one reader: a batch norm, or the loss behind the logits.
    public internal(set) var outputGradient = OutputGradient.region(0)
    /// nil: the images' gradient, which nobody needs.
    public internal(set) var inputGradient: Int?
  }

  /// Batch norm, then addition and rectifier where they follow: y = rectifier(norm(x) + residual).
  public struct Normalization: Sendable {
    /// Adds the second input's values.
    public let hasResidual: Bool
    /// Comes last; nil: none does.
    public let rectifier: Rectifier?
    /// Where training forms Σ x and Σ x² of each channel.
    public let statistics: Placement
    /// Where arriving gradients are added up and Σ g and Σ g·x of each channel formed.
    public internal(set) var firstPass = Placement.alone
    /// Where the input's gradient is formed from the first pass's result and sums.
    public internal(set) var secondPass = Placement.alone
    /// The region of the first pass's result: the gradient before addition and rectifier.
    public internal(set) var result = 0
    /// The region of the input's gradient, where the second pass writes one.
    public internal(set) var inputGradient: Int?
  }

  /// Pooling, or the shortcut without parameters: floats in, floats out.
  public struct Pooling: Sendable {
    /// Which kernel the step calls.
    public enum Kind: String, Hashable, Sendable {
      case average
      case maximum
      case padShortcut
    }

    /// Also what its title says.
    public let kind: Kind
    /// The window as a convolution's.
    public let shape: ConvolutionShape
    /// Where its gradients lie.
    public internal(set) var gradients = ValueGradients()
  }

  /// Floats in, floats out.
  public struct Dropout: Sendable {
    /// Share of the numbers that training sets to 0.
    public let rate: Double
    /// Tells one from another: the first of a network is 0.
    public let number: Int
    /// Where its gradients lie.
    public internal(set) var gradients = ValueGradients()
  }

  /// The gradients of a step that gives floats as they are.
  public struct ValueGradients: Sendable {
    /// The region of the output's gradient, in which several gradients may have to be added up first.
    public internal(set) var output = 0
    /// Whether they have to be; also true where the only gradient is a quantized copy's, which has to go back through its
    /// quantizer.
    public internal(set) var sumsOutput = false
    /// The region of the gradient that it writes.
    public internal(set) var input = 0
  }

  /// - Parameter backend: is asked which convolutions it computes in integers.
  /// - Throws: `NetworkError` where the graph has operations that no step carries out.
  public init(_ graph: Graph, quantization: QuantizationSpec?, batch: Int, on backend: any Backend) throws(NetworkError)
  {
    precondition(batch >= 1)
    self.batch = batch
    var producer = [Int](repeating: -1, count: graph.nodes.count)
    for nodes in try Self.fuse(graph) {
      append(nodes.map { graph.nodes[$0] }, producer, quantization, backend)
      producer[nodes.last!] = steps.count - 1
    }
    guard producer[graph.logits.node] == steps.count - 1, case .convolution = steps[steps.count - 1].kind else {
      throw NetworkError(description: "the logits are those of a linear layer, which runs last")
    }
    try planGradients()
    planMemory()
  }

  // MARK: Fusion

  /// The nodes of each step, in the order in which the steps run: that of their last nodes.
  private static func fuse(_ graph: Graph) throws(NetworkError) -> [[Int]] {
    var uses = [Int](repeating: 0, count: graph.nodes.count)
    for node in graph.nodes { for input in node.inputs { uses[input.node] += 1 } }
    /// By its last node so far.
    var groups: [Int: [Int]] = [:]
    /// Appends a node to the group of one of its inputs, if only it reads that one.
    func join(_ node: Int, _ input: Int, _ allowed: (Graph.Operation) -> Bool) -> Bool {
      guard uses[input] == 1, let group = groups[input], allowed(graph.nodes[input].operation) else { return false }
      groups[input] = nil
      groups[node] = group + [node]
      return true
    }
    for (index, node) in graph.nodes.enumerated() {
      switch node.operation {
      case .add:
        if !node.inputs.contains(where: { join(index, $0.node) { $0 == .batchNorm } }) {
          throw NetworkError(description: "\(node.name): an addition runs behind a batch norm that only it reads")
        }
      case .rectify:
        if !join(index, node.inputs[0].node, { $0 == .batchNorm || $0 == .add }) {
          throw NetworkError(description: "\(node.name): a rectifier runs behind a batch norm that only it reads")
        }
      case .images, .convolution, .batchNorm, .averagePool, .maxPool, .padShortcut, .dropout: groups[index] = [index]
      }
    }
    return groups.keys.sorted().map { groups[$0]! }
  }

  private mutating func append(
    _ nodes: [Graph.Node], _ producer: [Int], _ quantization: QuantizationSpec?, _ backend: any Backend
  ) {
    let node = nodes[0]
    let index = steps.count
    let input = node.inputs.first.map { producer[$0.node] } ?? -1
    var inputs = node.inputs.isEmpty ? [] : [input]
    var output = Tensor(shape: nodes.last!.shape)
    let kind: Kind
    func shape(_ window: Graph.Window, groups: Int = 1) -> ConvolutionShape {
      let from = steps[input].output.shape
      return ConvolutionShape(
        batch: batch, inputHeight: from.height, inputWidth: from.width, inputChannels: from.channels,
        outputChannels: node.shape.channels, kernelHeight: window.height, kernelWidth: window.width,
        stride: window.stride, padding: window.padding, groups: groups)
    }
    switch node.operation {
    case .images:
      kind = .images(Images())
      output.holdsValues = true
    case .convolution(let window, let groups, let hasBias, let place):
      let quantizers = LayerQuantizers(quantization, node.name, place)
      let shape = shape(window, groups: groups)
      let copy = quantizers.activation.map { quantizer in
        steps[input].output.copies.append(QuantizedCopy(reader: index, bits: quantizer.bits))
        return steps[input].output.copies.count - 1
      }
      if copy == nil { steps[input].output.holdsValues = true }
      kind = .convolution(
        Convolution(
          shape: shape, place: place, hasBias: hasBias,
          arithmetic: .init(shape, quantizers, backend), sumsFit16Bits: quantizers.sumsFit16Bits(shape),
          weightBits: quantizers.weight?.bits,
          freezableWeights: quantizers.freezes ? shape.weightCount : 0, copy: copy))
      output.holdsValues = true
    case .batchNorm:
      let addition = nodes.first { $0.operation == .add }
      let residual = addition.map { addition in
        addition.inputs.map { producer[$0.node] }.first { $0 >= 0 }!
      }
      if let residual {
        inputs.append(residual)
        steps[residual].output.holdsValues = true
        // The way back reads the output instead of computing it again.
        output.holdsValues = true
      }
      steps[input].output.holdsValues = true
      var statistics = Placement.alone
      if case .convolution(var convolution) = steps[input].kind {
        convolution.statisticsOf = index
        steps[input].kind = .convolution(convolution)
        statistics = .inside(input)
      }
      kind = .normalization(
        Normalization(
          hasResidual: residual != nil, rectifier: nodes.lazy.compactMap(\.rectifier).first,
          statistics: statistics))
    case .averagePool(let window): kind = pooling(.average, shape(window))
    case .maxPool(let window): kind = pooling(.maximum, shape(window))
    case .padShortcut(let stride):
      kind = pooling(.padShortcut, shape(Graph.Window(height: 1, width: 1, stride: stride)))
    case .dropout(let rate):
      let number = steps.count { if case .dropout = $0.kind { true } else { false } }
      kind = .dropout(Dropout(rate: rate, number: number))
    case .add, .rectify: preconditionFailure("\(node.name) is part of another step")
    }
    switch kind {
    case .pooling, .dropout:
      steps[input].output.holdsValues = true
      output.holdsValues = true
    case .images, .convolution, .normalization: break
    }
    steps.append(Step(name: node.name, nodes: nodes, inputs: inputs, kind: kind, output: output))
  }

  private func pooling(_ kind: Pooling.Kind, _ shape: ConvolutionShape) -> Kind {
    .pooling(Pooling(kind: kind, shape: shape))
  }

  // MARK: Memory

  /// Time of a step's way back, where that of its forward pass is its number.
  private func timeBack(_ step: Int) -> Int { 2 * steps.count - 1 - step }

  /// Finds a place for everything that does not lie apart.
  private mutating func planMemory() {
    var readers = [[Int]](repeating: [], count: steps.count)
    for (index, step) in steps.enumerated() {
      // A convolution reads the copy, if it has one.
      if case .convolution(let convolution) = step.kind, convolution.copy != nil { continue }
      for input in step.inputs { readers[input].append(index) }
    }
    var pieces: [SharedMemory.Piece] = []
    for index in steps.indices {
      let count = elements(index)
      if case .convolution(let convolution) = steps[index].kind {
        // No other reader than the batch norm, which makes floats of them.
        steps[index].output.holdsSums =
          convolution.arithmetic == .integers && convolution.sumsFit16Bits && !convolution.hasBias
          && readers[index].count == 1 && convolution.statisticsOf == readers[index][0]
      }
      // Images stay for the next pass, and logits are read behind it.
      if steps[index].output.holdsValues, index > 0, index < steps.count - 1 {
        steps[index].output.keepsValues = isReadBack(index, readers[index])
        let end = steps[index].output.keepsValues ? timeBack(index) : readers[index].last ?? index
        pieces.append(.init(bytes: steps[index].output.valueBytes * count, life: index...end))
      }
      for copy in steps[index].output.copies {
        pieces.append(.init(bytes: count, life: index...timeBack(index)))
        precondition(copy.reader > index)
      }
    }
    pieces += regions.map { .init(bytes: 4 * $0.count, life: $0.life) }
    let memory = SharedMemory(pieces)
    sharedBytes = memory.bytes
    var offsets = memory.offsets[...]
    for index in steps.indices {
      if steps[index].output.holdsValues, index > 0, index < steps.count - 1 {
        steps[index].output.offset = offsets.removeFirst()
      }
      for copy in steps[index].output.copies.indices {
        steps[index].output.copies[copy].offset = offsets.removeFirst()
      }
    }
    for region in regions.indices { regions[region].offset = offsets.removeFirst() }
  }

  /// Whether a step's floats are kept for the way back. Poolings and dropout know what they need of theirs, and a batch norm
  /// without an addition computes its own again.
  private func isReadBack(_ step: Int, _ readers: [Int]) -> Bool {
    guard case .normalization(let normalization) = steps[step].kind, !normalization.hasResidual else { return true }
    return !readers.allSatisfy { reader in
      switch steps[reader].kind {
      case .pooling, .dropout: true
      case .images, .convolution, .normalization: false
      }
    }
  }

  // MARK: Gradients

  /// Walks the backward pass.
  private mutating func planGradients() throws(NetworkError) {
    var planner = GradientPlanner()
    let last = steps.count - 1
    planner.time = timeBack(last)
    logitsGradient = planner.acquire(count: elements(last))
    steps[last].output.gradients.append(logitsGradient)
    for index in steps.indices.reversed() {
      planner.time = timeBack(index)
      let output = steps[index].output
      guard output.gradients.count <= 3, output.copies.count <= 2 else {
        throw NetworkError(
          description: "\(steps[index].name): at most three layers read an output as floats and two quantized")
      }
      switch steps[index].kind {
      case .images(var images):
        if !output.arriving.isEmpty {
          let gradient = sum(index, &planner)
          planner.release(gradient)
          images.gradient = gradient
        }
        steps[index].kind = .images(images)
      case .convolution(var convolution):
        try planGradients(of: &convolution, index, &planner)
        steps[index].kind = .convolution(convolution)
      case .normalization(var normalization):
        guard !output.arriving.isEmpty else { throw unread(index) }
        planGradients(of: &normalization, index, &planner)
        steps[index].kind = .normalization(normalization)
      case .pooling(var pooling):
        pooling.gradients = try valueGradients(of: index, &planner)
        steps[index].kind = .pooling(pooling)
      case .dropout(var dropout):
        dropout.gradients = try valueGradients(of: index, &planner)
        steps[index].kind = .dropout(dropout)
      }
    }
    regions = planner.regions.map { region in
      Region(count: region.count, offset: 0, life: region.birth...(region.death ?? timeBack(0)))
    }
  }

  private func unread(_ index: Int) -> NetworkError {
    NetworkError(description: "\(steps[index].name): no layer reads the output")
  }

  private mutating func valueGradients(
    of index: Int, _ planner: inout GradientPlanner
  ) throws(NetworkError) -> ValueGradients {
    let output = steps[index].output
    guard !output.arriving.isEmpty else { throw unread(index) }
    var gradients = ValueGradients()
    gradients.sumsOutput = output.arriving.count > 1 || output.gradients.isEmpty
    gradients.output = gradients.sumsOutput ? sum(index, &planner) : output.gradients[0]
    gradients.input = planner.acquire(count: elements(steps[index].inputs[0]))
    send(gradients.input, to: steps[index].inputs[0], from: index)
    planner.release(gradients.output)
    return gradients
  }

  private mutating func planGradients(
    of convolution: inout Convolution, _ index: Int, _ planner: inout GradientPlanner
  ) throws(NetworkError) {
    let output = steps[index].output
    var isAffine = false
    if case .affine = convolution.outputGradient { isAffine = true }
    guard output.copies.isEmpty, output.gradients.count + (isAffine ? 1 : 0) == 1 else {
      throw NetworkError(
        description: "\(steps[index].name): a convolution's output is read once, by a batch norm or the loss")
    }
    if !isAffine { convolution.outputGradient = .region(output.gradients[0]) }
    // The images' gradient is of use to their quantizer alone.
    if !convolution.place.seesImages || convolution.copy != nil {
      let gradient = planner.acquire(count: convolution.shape.inputCount)
      convolution.inputGradient = gradient
      send(gradient, to: steps[index].inputs[0], copy: convolution.copy, from: index)
    }
    switch convolution.outputGradient {
    case .region(let region), .affine(let region, _): planner.release(region)
    }
  }

  private mutating func planGradients(
    of normalization: inout Normalization, _ index: Int, _ planner: inout GradientPlanner
  ) {
    let result = sum(index, &planner)
    normalization.result = result
    // Where a convolution sends the last gradient it can take up each piece of it at once.
    if let sender = steps[index].output.lastSender, case .convolution(var convolution) = steps[sender].kind {
      convolution.firstPassOf = index
      steps[sender].kind = .convolution(convolution)
      normalization.firstPass = .inside(sender)
    }
    let input = steps[index].inputs[0]
    if normalization.hasResidual { send(result, to: steps[index].inputs[1], from: index) }
    if case .convolution(var convolution) = steps[input].kind, !convolution.hasBias {
      if normalization.hasResidual { planner.retain(result) }
      convolution.outputGradient = .affine(region: result, normalization: index)
      steps[input].kind = .convolution(convolution)
      normalization.secondPass = .inside(input)
      return
    }
    let gradient = normalization.hasResidual ? planner.acquire(count: elements(input)) : result
    normalization.inputGradient = gradient
    send(gradient, to: input, from: index)
  }

  /// Elements of a step's output for the whole batch.
  private func elements(_ step: Int) -> Int { batch * steps[step].output.shape.count }

  private mutating func send(_ region: Int, to step: Int, copy: Int? = nil, from sender: Int) {
    if let copy {
      steps[step].output.copies[copy].gradient = region
    } else {
      steps[step].output.gradients.append(region)
    }
    steps[step].output.lastSender = sender
  }

  /// The region where the gradients that arrive at a step are added up: one of theirs that nobody else needs, else another.
  /// The remaining ones are given back.
  private func sum(_ step: Int, _ planner: inout GradientPlanner) -> Int {
    var arriving = steps[step].output.arriving
    // Where this runs inside the pieces of the last sender, which still reads its own operands, it has to be an arriving
    // one: the last one's region is, since nobody else needs that.
    let kept = arriving.firstIndex(where: planner.isExclusive).map { arriving.remove(at: $0) }
    let result = kept ?? planner.acquire(count: elements(step))
    for region in arriving { planner.release(region) }
    return result
  }
}
