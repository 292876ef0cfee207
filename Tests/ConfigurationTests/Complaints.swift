import Configuration
import ConfigurationSupport
import Diagnostics

/// What loading `text` complains of, without the file's folder; nil when it loads.
func complaint(_ text: String, profile: String? = nil, set: [String] = []) throws -> String? {
  do {
    _ = try experiment(text, profile: profile, set: set)
    return nil
  } catch let error as Diagnostic {
    let file = error.subject.split(separator: "/").last.map(String.init) ?? error.subject
    return Diagnostic(file, at: error.place, error.problem, remedy: error.remedy).description
  }
}
