/// One thing wrong with a configuration, said in one line: file, key path, what was found, what is allowed, how to fix.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// As the caller named it; ":line:column" is appended where it is no JSON, and "--set" stands for an override.
  public var file: String
  /// Empty for the file as a whole.
  public var path: String
  /// What was found, what is allowed and how to fix it, without the place.
  public var problem: String

  /// - Parameter path: keys joined by dots; empty for the file as a whole.
  public init(file: String, path: String = "", problem: String) {
    self.file = file
    self.path = path
    self.problem = problem
  }

  public var description: String { path.isEmpty ? "\(file): \(problem)" : "\(file): \(path): \(problem)" }
}

/// The same before the file is known: what decoding a tree throws.
package struct SettingError: Error, Equatable {
  package var path: SettingPath
  package var problem: String

  package init(path: SettingPath, problem: String) {
    self.path = path
    self.problem = problem
  }
}

/// The nearest of `candidates` to a mistyped name; nil when none is near enough to be meant.
package func nearestName(to name: String, among candidates: [String]) -> String? {
  let ranked = candidates.map { (name: $0, distance: editDistance(name.lowercased(), $0.lowercased())) }
  guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
  return best.distance <= max(1, max(name.count, best.name.count) / 2) ? best.name : nil
}

/// Levenshtein's distance: insertions, deletions and substitutions of single characters.
func editDistance(_ a: String, _ b: String) -> Int {
  let target = Array(b)
  var previous = Array(0...target.count)
  for (row, character) in a.enumerated() {
    var current = [row + 1]
    for (column, other) in target.enumerated() {
      current.append(
        min(previous[column] + (character == other ? 0 : 1), previous[column + 1] + 1, current[column] + 1))
    }
    previous = current
  }
  return previous[target.count]
}

/// "a", "b" or "c"
func quotedAlternatives(_ names: [String]) -> String {
  names.count < 2 ? quotedList(names) : quotedList(names.dropLast()) + " or " + quotedList(names.suffix(1))
}

/// "a", "b", "c"
package func quotedList(_ names: some Sequence<String>) -> String {
  names.map { "\"\($0)\"" }.joined(separator: ", ")
}
