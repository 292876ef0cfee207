/// Plans where gradients lie by walking the backward pass once: who needs what is in a region, and for how long.
package struct GradientPlanner {
  /// One gradient's memory, or that of several which are written over one another.
  package struct Region {
    /// Floats.
    package let count: Int
    /// From when on it is written, inclusive.
    package let birth: Int
    /// When it is read for the last time; nil: not yet known.
    package fileprivate(set) var death: Int?
    fileprivate var users = 1
  }

  /// In the order of their births.
  package private(set) var regions: [Region] = []
  /// The time now; steps of the pass follow one another.
  package var time = 0

  package init() {}

  /// A region of `count` floats with one user, from now on.
  package mutating func acquire(count: Int) -> Int {
    regions.append(Region(count: count, birth: time))
    return regions.count - 1
  }

  /// One more user of the region; each of them releases it.
  package mutating func retain(_ region: Int) {
    precondition(regions[region].users > 0, "a gradient is retained after its release")
    regions[region].users += 1
  }

  /// The last user's release ends the region's life, at the end of this time.
  package mutating func release(_ region: Int) {
    precondition(regions[region].users > 0, "a gradient was released twice")
    regions[region].users -= 1
    if regions[region].users == 0 { regions[region].death = time }
  }

  /// Whether the region has one user, who may then write over it.
  package func isExclusive(_ region: Int) -> Bool { regions[region].users == 1 }
}
