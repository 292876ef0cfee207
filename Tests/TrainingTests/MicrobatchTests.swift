import Datasets
import Kernels
import Networks
import Quantization
import Tensor
import TestSupport
import Testing
import Training

/// Batches that pass through a network with memory for fewer images.
struct MicrobatchTests {
  private static func spec(_ method: SmallRuns.Method, _ microbatch: Int?) -> TrainingSpec {
    var spec = SmallRuns.spec(method)
    spec.microbatch = microbatch
    return spec
  }

  @Test("one part as large as the batch changes no bit", arguments: SmallRuns.Method.allCases)
  func whole(method: SmallRuns.Method) throws {
    let plain = try SmallRuns.finished(Self.spec(method, nil))
    let parts = try SmallRuns.finished(Self.spec(method, SmallRuns.batchSize))
    #expect(parts.tensorBits == plain.tensorBits)
    #expect(parts.timelessEpochs == plain.timelessEpochs)
  }

  @Test("parts give the same bits for any number of threads", arguments: SmallRuns.Method.allCases)
  func threads(method: SmallRuns.Method) throws {
    let runs = try [1, 2, 3].map { try SmallRuns.finished(Self.spec(method, 4), threads: $0) }
    for run in runs.dropFirst() {
      #expect(run.tensorBits == runs[0].tensorBits)
      #expect(run.timelessEpochs == runs[0].timelessEpochs)
    }
    #expect(runs[0].learner.network.batch == 4)
    #expect(runs[0].tensorBits != (try SmallRuns.finished(Self.spec(method, nil))).tensorBits)
  }

  @Test("a run in parts resumes in the middle to the same bits", arguments: SmallRuns.Method.allCases)
  func resume(method: SmallRuns.Method) throws {
    let folder = try TemporaryFolder()
    let spec = Self.spec(method, 6)
    let whole = try SmallRuns.finished(spec)
    let session = try SmallRuns.session(spec)
    _ = try session.train { $0.step == 7 ? .stop : .proceed }
    try session.writeCheckpoint(to: folder.file("checkpoint.h5"))
    let resumed = try SmallRuns.session(spec, threads: 1)
    #expect(try resumed.restoreCheckpoint(from: folder.file("checkpoint.h5")) == [])
    #expect(try resumed.train { _ in .proceed } == .finished)
    #expect(resumed.tensorBits == whole.tensorBits)
    #expect(resumed.timelessEpochs == whole.timelessEpochs)
  }

  /// Each part passes through a network of its own as a batch, and the mean of the gradients, weighted by images, is what the
  /// parts give together; also where the last part is smaller.
  @Test("gradients are those of the parts, summed in order", arguments: SmallRuns.Method.allCases, [12, 10])
  func sums(method: SmallRuns.Method, images: Int) throws {
    let parts = try SmallRuns.session(Self.spec(method, 4)).learner
    let batches = InMemory(images)
    _ = try parts.load(batches, epoch: 0, batch: 0)
    if parts.needsQuantizerInitialization { parts.initializeQuantizers(images: images) }
    let result = parts.computeGradients(images: images)
    let gradients = parts.network.trainedParameters.map { $0.gradient.array }

    let single = try SmallRuns.session(Self.spec(method, 4)).learner.network
    var expected = single.trainedParameters.map { [Double](repeating: 0, count: $0.count) }
    var loss = 0.0
    func pass(_ range: Range<Int>, starts: Bool = false) {
      single.withInput { batches.copy(range, into: $0) }
      single.forward(
        images: range.count, purpose: .training, freezing: starts || range.lowerBound > 0 ? nil : (nil, 1))
    }
    if single.quantization?.scheme.startsInSeparatePass == true { pass(0..<4, starts: true) }
    for first in stride(from: 0, to: images, by: 4) {
      let range = first..<min(first + 4, images)
      pass(range)
      loss +=
        single.loss.evaluate(images: range.count, withGradient: true, on: single.backend).loss
        * Double(range.count) / Double(images)
      single.backward(images: range.count)
      let share = Double(range.count) / Double(images)
      for (index, parameter) in single.trainedParameters.enumerated() {
        for element in 0..<parameter.count { expected[index][element] += share * Double(parameter.gradient[element]) }
      }
    }
    #expect(abs(result.loss - loss) <= 1e-9)
    for (index, parameter) in single.trainedParameters.enumerated() {
      let norm = expected[index].reduce(0) { $0 + $1 * $1 }.squareRoot()
      let difference = zip(gradients[index], expected[index]).reduce(0.0) {
        $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1)
      }.squareRoot()
      #expect(difference <= 1e-5 * norm + 1e-7, "\(parameter.name)")
    }
  }

  /// Random images of four classes.
  private final class InMemory: BatchSource {
    let imageCount: Int
    let batchCount = 1
    private let pixels: [Float]

    init(_ images: Int) {
      imageCount = images
      var random = CounterRandom(seed: 5, stream: 0)
      pixels = (0..<images * 192).map { _ in random.normal() }
    }

    func copy(_ range: Range<Int>, into memory: BatchMemory) {
      for (place, image) in range.enumerated() {
        for index in 0..<192 { memory.images[place * 192 + index] = pixels[image * 192 + index] }
        memory.labels[place] = Int32(image % 4)
      }
    }

    func fill(_ memory: BatchMemory, epoch: Int, batch: Int, on pool: ThreadPool) -> Int {
      copy(0..<imageCount, into: memory)
      return imageCount
    }
  }
}
