import Diagnostics
import Storage

/// `/observation` of a run's file: a dataset for each property of the record, by the names below.
extension ObservationRecord {
  /// - Parameter layers: how many have freezable weights.
  func write(to group: HDF5Group, layers: Int) throws(Diagnostic) {
    func write<Scalar: HDF5Scalar>(
      _ name: String, _ values: [Scalar], _ dimensions: KeyValuePairs<String, Int>, _ description: String
    ) throws(Diagnostic) {
      try group.write(values, shape: dimensions.map(\.value), to: name)
      try group.setAttribute("description", to: description, on: name)
      try group.setAttribute("dimensions", to: dimensions.map(\.key), on: name)
    }
    func write(_ name: String, _ histograms: DistanceHistograms, _ description: String) throws(Diagnostic) {
      try write(
        name, histograms.counts,
        ["step": histograms.steps.count, "layer": layers, "bin": DistanceBins.count, "frozen": 2, "level is final": 2],
        description)
    }
    try write("moments", moments.map(Int32.init), ["moment": moments.count], "Steps whose levels are kept, from 1")
    try write(
      "levels", levels, ["weight": weights, "moment": moments.count],
      "Level in the forward pass of each moment, counted from the lowest one")
    try write(
      "settling_steps", settlingSteps, ["weight": weights], "Last step in which the level changed, 0 where it never did"
    )
    try write("level_changes", levelChanges, ["weight": weights], "How often the level changed from step to step")
    if let decisions {
      try write(
        "freezing_steps", decisions.steps, ["weight": weights],
        "Step in which the criterion froze the weight (in a shadow run: would have), 0 where it never did")
      try write("freezing_levels", decisions.levels, ["weight": weights], "Its level in that step")
      try write(
        "freezing_distances", decisions.distances, ["layer": layers, "bin": DistanceBins.count],
        "Weights by their distance to the level, in levels' spacings, when they froze")
    }
    try write(
      "distance_steps", distances.steps.map(Int32.init), ["step": distances.steps.count], "Steps of the histograms")
    try write(
      "distance_bins", DistanceBins.upperEdges, ["bin": DistanceBins.count],
      "Upper ends of the histograms' bins, which belong to them, in levels' spacings")
    try write("distances", distances, "Weights by their distance to the level")
    if let meanDistances {
      try write("mean_distances", meanDistances, "Weights by the moving average of that distance, which the rule reads")
    }
  }

  /// - Parameter layers: freezable weights of the layers that have some.
  /// - Throws: where a dataset is missing, does not fit the layers and the others, or holds numbers that no run can have.
  init(from group: HDF5Group, layers: [Int]) throws(Diagnostic) {
    func fail(_ name: String, _ problem: String) -> Diagnostic {
      Diagnostic(group.file.path, at: "\(group.path)/\(name)", problem)
    }
    func steps(_ name: String) throws(Diagnostic) -> [Int] {
      let steps: [Int32] = try group.read(name)
      guard let first = steps.first, first > 0, zip(steps, steps.dropFirst()).allSatisfy({ $0 < $1 }) else {
        throw fail(name, "are no steps from 1 in ascending order")
      }
      return steps.map(Int.init)
    }
    func counts(_ name: String, shape: [Int], upTo most: Int) throws(Diagnostic) -> [Int32] {
      let counts: [Int32] = try group.read(name, shape: shape)
      if let odd = counts.first(where: { $0 < 0 || Int($0) > most }) {
        throw fail(name, "has the value \(odd); allowed: 0 to \(most)")
      }
      return counts
    }
    var weights = 0
    for layer in layers {
      let (sum, overflow) = weights.addingReportingOverflow(layer)
      guard !overflow else { throw fail("levels", "cannot be of as many weights as the layers have") }
      weights = sum
    }
    let moments = try steps("moments")
    let distanceSteps = try steps("distance_steps")
    guard Set(distanceSteps).isSubset(of: moments) else {
      throw fail("distance_steps", "has steps that are not among the moments")
    }
    guard try group.read("distance_bins") == DistanceBins.upperEdges else {
      throw fail("distance_bins", "has other bins than this program writes")
    }
    func histograms(_ name: String) throws(Diagnostic) -> DistanceHistograms {
      let shape = [distanceSteps.count, layers.count, DistanceBins.count, 2, 2]
      return DistanceHistograms(steps: distanceSteps, counts: try counts(name, shape: shape, upTo: weights))
    }
    let last = moments[moments.count - 1]
    var decisions: Decisions?
    if try group.contains("freezing_steps") {
      decisions = Decisions(
        steps: try counts("freezing_steps", shape: [weights], upTo: last),
        levels: try group.read("freezing_levels", shape: [weights]),
        distances: try counts("freezing_distances", shape: [layers.count, DistanceBins.count], upTo: weights))
    }
    self.init(
      moments: moments, levels: try group.read("levels", shape: [weights, moments.count]),
      settlingSteps: try counts("settling_steps", shape: [weights], upTo: last),
      levelChanges: try counts("level_changes", shape: [weights], upTo: last), decisions: decisions,
      distances: try histograms("distances"),
      meanDistances: try group.contains("mean_distances") ? try histograms("mean_distances") : nil)
  }
}
