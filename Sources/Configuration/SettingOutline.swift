import Recipes

/// Where a configuration may hold a value, what is allowed there, and what a missing one means.
package struct SettingOutline: Sendable, CustomStringConvertible {
  /// From the file's root, joined by dots.
  package let path: String
  package let content: Content
  /// nil: there is none, or recipes differ, which the schema then says.
  package let defaultValue: JSONValue?

  /// What a key holds.
  package enum Content: Sendable {
    case value(SettingSchema)
    /// Other keys, with lists of their values.
    case axes
    /// Names, with objects of other keys.
    case profiles
  }

  package var description: String { path }

  init(_ path: String, _ content: Content, default defaultValue: JSONValue? = nil) {
    self.path = path
    self.content = content
    self.defaultValue = defaultValue
  }

  init<Value: Sendable>(_ path: String, _ codec: SettingCodec<Value>, default defaultValue: Value? = nil) {
    self.init(path, .value(codec.schema), default: defaultValue.map(codec.encode))
  }

  /// - Parameter published: what each recipe has, by kind of network, where configurations say nothing.
  init(_ path: String, _ schema: SettingSchema, published: (Recipe.Settings) -> JSONValue?) {
    func values(_ kind: (Recipe) -> Recipe.Settings) -> [JSONValue?] { Recipe.all.map { published(kind($0)) } }
    func text(_ values: [JSONValue?]) -> String {
      if let value = values[0], values.allSatisfy({ $0 == value }) { return value.text }
      return zip(Recipe.all, values).compactMap { recipe, value in value.map { "\($0.text) in \(recipe)" } }
        .joined(separator: ", ")
    }
    let (small, imageNet) = (values(\.smallImages), values(\.imageNet))
    let isAgreed = (small + imageNet).allSatisfy { $0 == small[0] }
    var schema = schema
    if !isAgreed {
      let list = [text(small)] + (imageNet == small ? [] : ["of networks for ImageNet \(text(imageNet))"])
      schema.text = (schema.text.map { "\($0) " } ?? "") + "Default: \(list.joined(separator: "; "))."
    }
    self.init(path, .value(schema), default: isAgreed ? small[0] : nil)
  }
}

extension Setting {
  func outline(below section: String = "") -> SettingOutline {
    SettingOutline(path(below: section), .value(schema), default: defaultValue == .null ? nil : defaultValue)
  }

  /// - Parameter published: what each recipe has, by kind of network, where configurations say nothing.
  func outline(below section: String = "", published: (Recipe.Settings) -> Root) -> SettingOutline {
    SettingOutline(path(below: section), schema) { write(published($0)) ?? defaultValue }
  }

  private func path(below section: String) -> String { section.isEmpty ? key : "\(section).\(key)" }
}

/// A section of configurations, which has keys of its own.
package struct SettingSection: Sendable {
  /// From the file's root, joined by dots.
  package let path: String
  /// What it is for, as editors show it.
  package let text: String
  /// Whether null, which removes a section, means something else than leaving it out.
  let isOptional: Bool

  init(_ path: String, _ text: String, isOptional: Bool = false) {
    self.path = path
    self.text = text
    self.isOptional = isOptional
  }
}
