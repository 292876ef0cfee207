package import Diagnostics

/// What is wrong with a setting, before its file is known: what decoding a tree throws.
package struct SettingError: Error, Equatable {
  package var path: SettingPath
  package var problem: String

  package init(path: SettingPath, problem: String) {
    self.path = path
    self.problem = problem
  }

  /// The line that people read. `file` may be "FILE:LINE:COLUMN", or "--set" for an override.
  package func diagnostic(in file: String) -> Diagnostic {
    let place = path.description
    return Diagnostic(file, at: place.isEmpty ? nil : place, problem)
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
