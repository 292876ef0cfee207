/// Plans the memory of all gradients by walking the backward pass once: a region given back by one step serves the next.
package struct GradientPlanner {
  /// Floats of each region.
  package private(set) var counts: [Int] = []
  /// How many still need what is in a region; 0: free.
  private var users: [Int] = []

  package init() {}

  /// A region of at least `count` floats with one user: the smallest free one that is large enough, else the largest one,
  /// grown.
  package mutating func acquire(count: Int) -> Int {
    let free = users.indices.filter { users[$0] == 0 }.sorted { counts[$0] < counts[$1] }
    if let region = free.first(where: { counts[$0] >= count }) ?? free.last {
      counts[region] = max(counts[region], count)
      users[region] = 1
      return region
    }
    counts.append(count)
    users.append(1)
    return counts.count - 1
  }

  /// One more user of the region; each of them releases it.
  package mutating func retain(_ region: Int) {
    precondition(users[region] > 0, "a gradient is retained after its release")
    users[region] += 1
  }

  package mutating func release(_ region: Int) {
    precondition(users[region] > 0, "a gradient was released twice")
    users[region] -= 1
  }

  /// Whether the region has one user, who may then write over it.
  package func isExclusive(_ region: Int) -> Bool { users[region] == 1 }
}
