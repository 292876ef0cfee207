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

  @Test("have the same keys", arguments: ConfigurationKeys.sections)
  func keys(section: String) throws {
    #expect(try properties(at: section).keys.sorted() == ConfigurationKeys.names(in: section).sorted())
  }

  @Test("allow the same values", arguments: ConfigurationKeys.outlines)
  func values(outline: SettingOutline) throws {
    guard let allowed = outline.schema else { return }
    let split = outline.path.split(separator: ".").map(String.init)
    var property = try resolve(try properties(at: split.dropLast().joined(separator: "."))[split.last!])
    // A number or a name.
    for alternative in property["anyOf"] as? [Object] ?? [] { property.merge(alternative) { first, _ in first } }
    #expect(property["enum"] as? [String] ?? [] == allowed.choices)
    let types = property["type"] as? [String] ?? [property["type"] as? String].compactMap { $0 }
    #expect(types.filter { $0 != "null" } == [allowed.kind?.rawValue].compactMap { $0 })
    #expect(property["minimum"] as? Double == allowed.minimum)
    #expect(property["exclusiveMinimum"] as? Double == allowed.exclusiveMinimum)
    #expect(property["maximum"] as? Double == allowed.maximum)
    #expect(property["exclusiveMaximum"] as? Double == allowed.exclusiveMaximum)
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
    let notAxes = ["$schema", "name", "title", "dataset", "seeds", "axes", "profiles", "slurm", "comparison"]
    for key in ConfigurationKeys.names(in: "") {
      let matches = expression.firstMatch(in: key, range: NSRange(key.startIndex..., in: key)) != nil
      #expect(matches != notAxes.contains(key), "\(key)")
    }
  }
}
