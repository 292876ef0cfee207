/// What is wrong with a data set on disk, on one line: the path, what was found, and what to do about it.
public struct DatasetError: Error, Equatable, CustomStringConvertible {
  /// The file or folder at fault.
  public let path: String
  /// What was found there and, where it helps, what is allowed.
  public let reason: String
  /// How to put it right.
  public let remedy: String

  /// The parts of the line; control characters in them are escaped in `description` alone.
  public init(path: String, reason: String, remedy: String) {
    self.path = path
    self.reason = reason
    self.remedy = remedy
  }

  public var description: String {
    let line = "\(path): \(reason); \(remedy)"
    // A path may hold any character: control characters are shown by their code, so that the message stays one line.
    return String(
      String.UnicodeScalarView(
        line.unicodeScalars.flatMap { scalar in
          scalar.value < 0x20 || scalar.value == 0x7f
            ? Array("\\u{\(String(scalar.value, radix: 16))}".unicodeScalars) : [scalar]
        }))
  }
}
