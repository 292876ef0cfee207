/// Why a file could not be read or written: one line that names the file, the object in it, what is wrong and what helps.
public struct StorageError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: Equatable, Sendable {
    /// There is no such file or folder.
    case noFile
    /// The operating system refused: permissions, a folder in the file's place.
    case system
    /// The disk is full, or the user's share of it.
    case noSpace
    /// The file is not HDF5.
    case notHDF5
    /// The file is shorter than it says, or its contents do not decode.
    case damaged
    /// The file has no such dataset, group or attribute.
    case missing
    /// Another number of dimensions or elements than asked for.
    case wrongShape
    /// Another type than asked for, or a value that does not fit it.
    case wrongType
    /// A file of another program, or of a version that this one does not know.
    case wrongFormat
    /// The name is empty, taken, or cannot be stored.
    case badName
    /// The file has been closed.
    case closed
  }

  public let kind: Kind
  public let file: String
  /// The path of the dataset, group or attribute within the file, nil where the whole file is meant.
  public let object: String?
  public let problem: String

  public init(_ kind: Kind, file: String, object: String? = nil, _ problem: String) {
    self.kind = kind
    self.file = file
    self.object = object
    self.problem = problem
  }

  public var description: String {
    if let object { "\(file): \(object): \(problem)" } else { "\(file): \(problem)" }
  }
}
