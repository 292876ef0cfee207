import Configuration
import Foundation
public import Records

/// What differs between two runs, value by value.
public struct RunComparison: Sendable {
  /// Parts of a record, in the order in which differences are listed.
  public enum Section: String, CaseIterable, Sendable {
    case identity, configuration, provenance, outcome, series, tensors, observation
  }

  /// One value that the two records do not share.
  public struct Difference: Equatable, Sendable {
    /// Where the value stands in the records.
    public var section: Section
    /// Its path within the section, with dots and 0-based "[index]"; of tensors and observations the name in the file.
    public var key: String
    /// As text; "absent" where the first record has none. Of tensors: the first element that differs, or the shape.
    public var first: String
    /// As text; "absent" where the second record has none. Of tensors also how many elements differ.
    public var second: String

    /// A difference as it is: nothing is compared.
    public init(section: Section, key: String, first: String, second: String) {
      self.section = section
      self.key = key
      self.first = first
      self.second = second
    }
  }

  /// By section, then by key; empty where the records are the same. Tensors are compared by bits.
  public let differences: [Difference]

  /// - Parameter ignoringTimes: leave out seconds, bytes that processes sent, and provenance, which differ between two executions of one run;
  ///   everything else is then the same to the bit.
  public init(_ first: RunRecord, _ second: RunRecord, ignoringTimes: Bool) throws {
    var differences: [Difference] = []
    func compare(_ section: Section, _ a: [String: String], _ b: [String: String]) {
      for key in Set(a.keys).union(b.keys).sorted() where a[key] != b[key] {
        if ignoringTimes, Self.isTime(key) { continue }
        differences.append(
          Difference(section: section, key: key, first: a[key] ?? "absent", second: b[key] ?? "absent"))
      }
    }
    let (a, b) = (try Self.flat(first), try Self.flat(second))
    for section in [Section.identity, .configuration, .provenance, .outcome, .series]
    where !(ignoringTimes && section == .provenance) {
      compare(section, a[section] ?? [:], b[section] ?? [:])
    }
    differences += Self.tensorDifferences(first.tensors, second.tensors)
    differences += Self.observationDifferences(first.observation, second.observation)
    self.differences = differences
  }

  /// What differs between two executions of one run: also what several processes sent each other.
  private static func isTime(_ key: String) -> Bool {
    let key = key.lowercased()
    return key.contains("seconds") || key.contains("bytessent") || key.contains("bytes_sent")
  }

  /// Every value of a record under its path, by section.
  private static func flat(_ record: RunRecord) throws -> [Section: [String: String]] {
    var values: [Section: [String: String]] = [:]
    func walk(_ value: JSONValue, _ path: String, _ section: Section) {
      switch value {
      case .object(let members):
        for member in members { walk(member.value, path.isEmpty ? member.key : "\(path).\(member.key)", section) }
      case .array(let elements):
        for (index, element) in elements.enumerated() { walk(element, "\(path)[\(index)]", section) }
      default: values[section, default: [:]][path] = value.plain
      }
    }
    let tree = try JSONParser.parse(Array(try record.json().utf8))
    guard case .object(let members) = tree else { preconditionFailure("a record is an object") }
    for member in members {
      switch member.key {
      case "configuration":
        // Stored as JSON text; where it is none, it is compared as it stands.
        if let configuration = try? JSONParser.parse(Array(record.configuration.utf8)) {
          walk(configuration, "", .configuration)
        } else {
          walk(member.value, "", .configuration)
        }
      case "provenance": walk(member.value, "", .provenance)
      case "outcome": walk(member.value, "", .outcome)
      case "epochs", "layers", "layer_epochs": walk(member.value, member.key, .series)
      default: walk(member.value, member.key, .identity)
      }
    }
    return values
  }

  private static func tensorDifferences(_ first: [NamedTensor], _ second: [NamedTensor]) -> [Difference] {
    let a = Dictionary(first.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let b = Dictionary(second.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    return Set(a.keys).union(b.keys).sorted().compactMap { name in
      func difference(_ first: String, _ second: String) -> Difference {
        Difference(section: .tensors, key: name, first: first, second: second)
      }
      guard let x = a[name] else { return difference("absent", "present") }
      guard let y = b[name] else { return difference("present", "absent") }
      guard x.shape == y.shape else { return difference("shape \(x.shape)", "shape \(y.shape)") }
      let (count, place): (Int, Int?)
      switch (x.elements, y.elements) {
      // By bits: NaN equals itself, and the two zeros differ.
      case (.float(let p), .float(let q)): (count, place) = unequal(p.map(\.bitPattern), q.map(\.bitPattern))
      case (.int8(let p), .int8(let q)): (count, place) = unequal(p, q)
      case (.uint8(let p), .uint8(let q)): (count, place) = unequal(p, q)
      default: return difference("one type of elements", "another")
      }
      guard let place else { return nil }
      return difference(
        "\(element(x, place)) at \(place)", "\(element(y, place)) (\(count) of \(x.elements.count) elements differ)")
    }
  }

  private static func observationDifferences(
    _ first: ObservationRecord?, _ second: ObservationRecord?
  ) -> [Difference] {
    guard first != second else { return [] }
    let (a, b) = (first?.numbers ?? [:], second?.numbers ?? [:])
    return Set(a.keys).union(b.keys).sorted().compactMap { name in
      let (x, y) = (a[name], b[name])
      guard x != y else { return nil }
      guard let x, let y, x.count == y.count else {
        let (mine, others) = (x.map { "\($0.count) numbers" }, y.map { "\($0.count) numbers" })
        return Difference(section: .observation, key: name, first: mine ?? "absent", second: others ?? "absent")
      }
      let (count, place) = unequal(x, y)
      return Difference(
        section: .observation, key: name, first: "\(x[place!]) at \(place!)",
        second: "\(y[place!]) (\(count) of \(x.count) numbers differ)")
    }
  }

  private static func unequal<Element: Equatable>(_ a: [Element], _ b: [Element]) -> (count: Int, first: Int?) {
    let places = a.indices.filter { a[$0] != b[$0] }
    return (places.count, places.first)
  }

  private static func element(_ tensor: NamedTensor, _ index: Int) -> String {
    switch tensor.elements {
    case .float(let values): "\(values[index])"
    case .int8(let values): "\(values[index])"
    case .uint8(let values): "\(values[index])"
    }
  }
}

extension ObservationRecord {
  /// By the names that the file has.
  fileprivate var numbers: [String: [Int]] {
    var numbers = [
      "moments": moments, "levels": levels.map(Int.init), "settling_steps": settlingSteps.map(Int.init),
      "level_changes": levelChanges.map(Int.init), "distance_steps": distances.steps,
      "distances": distances.counts.map(Int.init),
    ]
    if let meanDistances { numbers["mean_distances"] = meanDistances.counts.map(Int.init) }
    if let decisions {
      numbers["freezing_steps"] = decisions.steps.map(Int.init)
      numbers["freezing_levels"] = decisions.levels.map(Int.init)
      numbers["freezing_distances"] = decisions.distances.map(Int.init)
    }
    return numbers
  }
}
