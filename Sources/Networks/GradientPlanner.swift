public import Tensor

/// A place for the gradient of an activation, given memory when all places are known.
public final class GradientSlot {
  fileprivate let region: GradientPlanner.Region
  fileprivate init(region: GradientPlanner.Region) { self.region = region }

  public var buffer: Buffer<Float> {
    guard let buffer = region.buffer else { preconditionFailure("gradients are used before planning has ended") }
    return buffer
  }
}

/// Plans the memory of all gradients by walking the backward pass once: memory given back by one layer serves the next.
public final class GradientPlanner {
  fileprivate final class Region {
    var count: Int
    var buffer: Buffer<Float>?
    /// How many still need what is in the region; 0: free.
    var users = 1
    init(count: Int) { self.count = count }
  }

  private var regions: [Region] = []
  private var free: [Region] = []

  public init() {}

  public func acquire(count: Int) -> GradientSlot {
    // The smallest region that is large enough, else the largest one, grown.
    free.sort { $0.count < $1.count }
    if let index = free.firstIndex(where: { $0.count >= count }) ?? free.indices.last {
      let region = free.remove(at: index)
      region.count = max(region.count, count)
      region.users = 1
      return GradientSlot(region: region)
    }
    let region = Region(count: count)
    regions.append(region)
    return GradientSlot(region: region)
  }

  /// One more user of the slot; each of them releases it.
  public func retain(_ slot: GradientSlot) {
    precondition(slot.region.users > 0, "a gradient is retained after its release")
    slot.region.users += 1
  }

  public func release(_ slot: GradientSlot) {
    precondition(slot.region.users > 0, "a gradient was released twice")
    slot.region.users -= 1
    if slot.region.users == 0 { free.append(slot.region) }
  }

  /// Whether the slot has one user, who may then write over it.
  public func isExclusive(_ slot: GradientSlot) -> Bool { slot.region.users == 1 }

  public func allocate() {
    for region in regions { region.buffer = Buffer(count: region.count) }
  }

  /// Floats in all regions.
  public var total: Int { regions.reduce(0) { $0 + $1.count } }
}
