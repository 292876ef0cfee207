/// Something outside the program that it cannot go on from, said in one line: what is at fault, what is wrong with it, and
/// what helps.
///
/// The program prints it and ends with exit status 2. Programmers' mistakes are preconditions instead.
public struct Diagnostic: Error, Equatable, Codable, Sendable, CustomStringConvertible {
  /// What callers tell apart; people read the text.
  public enum Cause: String, Codable, Sendable {
    /// The contents of a file, or a flag, are not what they should be.
    case input
    /// There is no such file or folder.
    case absent
    /// Another program has it open and may be changing it.
    case busy
    /// The disk is full, or the user's share of it.
    case noSpace
    /// The operating system refused otherwise: permissions, a folder in the file's place.
    case system
  }

  /// What callers tell apart.
  public let cause: Cause
  /// A file or folder as the user named it, or a flag.
  public let subject: String
  /// The key path of a configuration or the path of an object within the file; nil where the whole subject is meant.
  public let place: String?
  /// What was found and, where it helps, what is allowed.
  public let problem: String
  /// How to put it right; nil where the problem says it.
  public let remedy: String?

  /// - Parameters:
  ///   - subject: the file, folder or flag at fault.
  ///   - place: where in it.
  ///   - problem: without a full stop, in lower case.
  ///   - remedy: likewise, as an instruction.
  public init(
    cause: Cause = .input, _ subject: String, at place: String? = nil, _ problem: String, remedy: String? = nil
  ) {
    self.cause = cause
    self.subject = subject
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  /// "subject: place: problem; remedy", always one line: names may hold any character, so control characters are shown by
  /// their code.
  public var description: String {
    let text = [subject, place, problem].compactMap(\.self).joined(separator: ": ") + (remedy.map { "; \($0)" } ?? "")
    guard text.unicodeScalars.contains(where: Self.isControl) else { return text }
    return text.unicodeScalars.reduce(into: "") { line, scalar in
      if Self.isControl(scalar) {
        line += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        line.unicodeScalars.append(scalar)
      }
    }
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.value < 0x20 || scalar.value == 0x7F }
}
