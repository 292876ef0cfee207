import Configuration
import ConfigurationSupport
import Foundation
import Testing

@Suite("configs/schema.json and the decoder")
struct SchemaTests {
  typealias Object = [String: Any]

  let schema: Object
  init() throws {
    let data = try Data(contentsOf: repositoryRoot.appendingPathComponent("configs/schema.json"))
    schema = try #require(try JSONSerialization.jsonObject(with: data) as? Object)
  }

  private func resolve(_ value: Any?) throws -> Object {
    let object = try #require(value as? Object)
    guard let reference = object["$ref"] as? String else { return object }
    let name = try #require(reference.split(separator: "/").last.map(String.init))
    return try #require((schema["$defs"] as? Object)?[name] as? Object)
  }

  private func properties(at path: String) throws -> Object {
    let settings = try resolve(["$ref": "#/$defs/settings"])
    var properties = try #require(settings["properties"] as? Object)
    if path.isEmpty {
      return properties.merging(try #require(schema["properties"] as? Object)) { first, _ in first }
    }
    for key in path.split(separator: ".") {
      properties = try #require(try resolve(properties[String(key)])["properties"] as? Object)
    }
    return properties
  }

  @Test("have the same keys", arguments: ConfigurationKeys.bySection.keys.sorted())
  func keys(section: String) throws {
    let decoded = try #require(ConfigurationKeys.bySection[section])
    #expect(try properties(at: section).keys.sorted() == decoded.sorted())
  }

  @Test("allow the same values", arguments: ConfigurationKeys.choices.keys.sorted())
  func choices(path: String) throws {
    let split = path.split(separator: ".").map(String.init)
    let section = split.dropLast().joined(separator: ".")
    let property = try resolve(try properties(at: section)[split.last!])
    #expect(property["enum"] as? [String] == ConfigurationKeys.choices[path])
  }

  @Test("refuse further keys everywhere")
  func closed() throws {
    func check(_ object: Object, _ place: String) {
      if object["properties"] != nil, place != "$defs/settings" {
        let isClosed =
          object["additionalProperties"] as? Bool == false || object["unevaluatedProperties"] as? Bool == false
        #expect(isClosed, "\(place) lets unknown keys through")
      }
      for (key, value) in object {
        if let inner = value as? Object { check(inner, place.isEmpty ? key : "\(place)/\(key)") }
      }
    }
    check(schema, "")
  }

  @Test("vary the same settings")
  func axes() throws {
    let axes = try resolve(try properties(at: "")["axes"])
    let items = try #require(axes["items"] as? Object)
    let pattern = try #require((items["propertyNames"] as? Object)?["pattern"] as? String)
    let expression = try NSRegularExpression(pattern: pattern)
    let notAxes = ["$schema", "name", "title", "dataset", "seeds", "axes", "profiles", "slurm"]
    for key in try #require(ConfigurationKeys.bySection[""]) {
      let matches = expression.firstMatch(in: key, range: NSRange(key.startIndex..., in: key)) != nil
      #expect(matches != notAxes.contains(key), "\(key)")
    }
  }
}
