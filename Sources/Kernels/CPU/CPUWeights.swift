import CKernels
@_spi(Kernels) public import Tensor

/// Quantization and freezing of weights.
extension CPUBackend {
  /// Overwrites `values` and `levels`, as many as there are weights, on the calling thread.
  public func quantize(
    _ grid: WeightGrid, weights: Buffer<Float>, values: Buffer<Float>, levels: Buffer<Int8>?
  ) {
    precondition(values.count == weights.count && (levels == nil || levels?.count == weights.count))
    withUnsafePointer(to: grid.c) {
      quantization.quantize_weights($0, weights.pointer, Int64(weights.count), values.pointer, levels?.pointer)
    }
  }

  /// Overwrites `distance` (D̄) and `previousIndex` (on the grid, not levels); sets bytes of `frozen` to 1,
  /// clears none. All have as many elements as `weights`.
  public func updateFreezing(
    _ grid: WeightGrid, step: FreezingStep, weights: Buffer<Float>, distance: Buffer<Float>,
    previousIndex: Buffer<Int16>, frozen: Buffer<UInt8>, history: LevelHistory
  ) -> (frozen: Int, levelMoves: Int) {
    precondition(distance.count == weights.count && previousIndex.count == weights.count)
    precondition(frozen.count == weights.count && history.distance.count == weights.count)
    var (grid, rule, record) = (grid.c, step.c, history.c(number: step.number))
    var moves: Int64 = 0
    let count = quantization.update_freezing(
      &grid, &rule, weights.pointer, Int64(weights.count), distance.pointer, previousIndex.pointer, frozen.pointer,
      &record, &moves)
    return (Int(count), Int(moves))
  }

  /// scale · gradient where the position on the grid is within `lowest`...`highest`, else 0; 0 for frozen weights. The
  /// sums are not scaled.
  public func straightThrough(
    _ grid: WeightGrid, weights: Buffer<Float>, valueGradient: Buffer<Float>, scale: Float, frozen: Buffer<UInt8>?,
    skipFrozen: Bool, weightGradient: Buffer<Float>
  ) -> RangeSums {
    precondition(valueGradient.count == weights.count && weightGradient.count == weights.count)
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: 2) { sums in
      withUnsafePointer(to: grid.c) {
        quantization.straight_through_weights(
          $0, weights.pointer, valueGradient.pointer, scale, frozen?.pointer, skipFrozen ? 1 : 0,
          Int64(weights.count), weightGradient.pointer, sums.baseAddress)
      }
      return RangeSums(gradient: sums[0], gradientTimesValue: sums[1])
    }
  }

  /// In order on the calling thread: the same bits with any number of threads.
  public func dotProduct(_ first: Buffer<Float>, _ second: Buffer<Float>) -> Double {
    precondition(first.count == second.count)
    var sum = 0.0
    for index in 0..<first.count { sum += Double(first.pointer[index]) * Double(second.pointer[index]) }
    return sum
  }
}
