import Configuration
import ConfigurationSupport

/// What loading `text` complains of, without the file's folder; nil when it loads.
func complaint(_ text: String, profile: String? = nil, set: [String] = []) throws -> String? {
  do {
    _ = try experiment(text, profile: profile, set: set)
    return nil
  } catch let error as ConfigurationError {
    var error = error
    error.file = error.file.split(separator: "/").last.map(String.init) ?? error.file
    return error.description
  }
}
