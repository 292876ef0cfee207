#if canImport(Glibc)
  import Glibc
  import Kernels
  import Networks
  import Quantization
  import Tensor
  import Testing
  import TestSupport
  import Training

  /// Training takes all its memory before the first steps are over.
  struct SteadyStateTests {
    /// Bytes that are allocated now, in all arenas: what the heap has from the system, less what is free in it. glibc's
    /// mallinfo2 would say so in a number, but is in no header that Swift imports.
    private static var allocated: Int {
      typealias MallocInfo = @convention(c) (_ options: Int32, UnsafeMutablePointer<FILE>) -> Int32
      let mallocInfo = unsafeBitCast(dlsym(nil, "malloc_info"), to: MallocInfo.self)
      var text: UnsafeMutablePointer<CChar>?
      var length = 0
      let stream = open_memstream(&text, &length)!
      let status = mallocInfo(0, stream)
      fclose(stream)
      defer { free(text) }
      precondition(status == 0)
      // <total type="rest" count="1" size="50224"/>; those of the whole heap come after those of the arenas.
      func size(_ type: String) -> Int {
        let line = String(cString: text!).split(separator: "\n").last { $0.contains("type=\"\(type)\"") }!
        return Int(line.split(separator: "size=\"").last!.prefix { $0.isNumber })!
      }
      return size("current") - size("fast") - size("rest") + size("mmap")
    }

    /// How much the heap grows over 20 steps of `method`, half of the weights frozen where it freezes.
    private static func growth(_ method: SmallRuns.Method, threads: Int) throws -> Int {
      let freezing = FreezingSpec(schedule: .linear, startStep: 1 << 30, totalSteps: 1 << 31, distanceEMA: 0.9)
      let learner = try Learner(
        spec: SmallRuns.spec(method, totalSteps: 1 << 30, freezing: freezing), backend: CPUBackend(threads: threads)
      )
      let network = learner.network
      network.initializeWeights(seed: 1)
      network.initializeWeightQuantizers()
      network.withInput { memory in
        _ = memory.images.update(from: normals(memory.images.count, seed: 2))
      }
      if method == .spqatFreeze || method == .ltsFreeze {
        for layer in network.convolutions { layer.freezing?.freezeRandomly(share: 0.5, seed: 3) }
      }
      if learner.needsQuantizerInitialization { learner.initializeQuantizers(images: SmallRuns.batchSize) }
      func steps(_ count: Int) {
        for _ in 0..<count {
          _ = learner.computeGradients(images: SmallRuns.batchSize)
          learner.applyGradients()
          _ = learner.evaluate(images: SmallRuns.batchSize)
        }
      }
      // The first measurement's own memory is not the training's.
      var growth = 0
      for _ in 0..<2 {
        steps(10)
        let before = allocated
        steps(20)
        growth = allocated - before
      }
      return growth
    }

    @Test("the heap does not grow over 20 steps")
    func heap() async {
      // In a process of its own, since other tests allocate.
      await #expect(processExitsWith: .success) {
        for method in SmallRuns.Method.allCases {
          for threads in [1, 2] {
            let growth = try SteadyStateTests.growth(method, threads: threads)
            #expect(growth <= 0, "\(method) with \(threads) threads: the heap grew by \(growth) bytes")
          }
        }
      }
    }
  }
#endif
