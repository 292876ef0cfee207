/// One field of `Root`, described once: its key, how configurations and stored runs hold it, what is allowed and what is
/// said of anything else. Experiment files are decoded, canonical forms written and read by walking lists of these.
package struct Setting<Root: Sendable>: Sendable {
  /// Below the place of `Root`, joined by dots.
  package let key: String
  package let schema: SettingSchema
  /// What a missing value means; nil: one is needed, or that depends.
  let defaultValue: JSONValue?
  /// Sets the field; nil: there is no value.
  package let read: @Sendable (inout Root, JSONValue?) throws(SettingProblem) -> Void
  /// nil: the field is not written, being absent or having a default that is older than the field.
  package let write: @Sendable (Root) -> JSONValue?

  private init(
    key: String, schema: SettingSchema, defaultValue: JSONValue? = nil,
    read: @escaping @Sendable (inout Root, JSONValue?) throws(SettingProblem) -> Void,
    write: @escaping @Sendable (Root) -> JSONValue?
  ) {
    self.key = key
    self.schema = schema
    self.defaultValue = defaultValue
    self.read = read
    self.write = write
  }

  /// - Parameter defaultValue: what a missing value means, which is then not written either, so that a field that is added
  ///   with a default leaves the ids of older runs as they are; nil: a value is needed.
  init<Value: Equatable & Sendable>(
    _ key: String, _ path: any (WritableKeyPath<Root, Value> & Sendable), _ codec: SettingCodec<Value>,
    unless defaultValue: Value? = nil
  ) {
    self.init(
      key: key, schema: codec.schema, defaultValue: defaultValue.map(codec.encode),
      read: { root, json throws(SettingProblem) in
        if let json {
          root[keyPath: path] = try codec.decode(json)
        } else if let defaultValue {
          root[keyPath: path] = defaultValue
        } else {
          throw SettingProblem(text: "missing; \(codec.remedy)")
        }
      },
      write: { root in
        let value = root[keyPath: path]
        return value == defaultValue ? nil : codec.encode(value)
      })
  }

  /// A field that only some variants have: `path` is nil in the others.
  ///
  /// - Parameter owner: the key and the value by which the variants are chosen that have the field.
  init<Value: Equatable & Sendable>(
    _ key: String, _ path: any (WritableKeyPath<Root, Value?> & Sendable), _ codec: SettingCodec<Value>,
    with owner: (key: String, value: String), of current: @escaping @Sendable (Root) -> String
  ) {
    var schema = codec.schema
    schema.text = "With the \(owner.key) \"\(owner.value)\". " + (schema.text ?? "")
    self.init(
      key: key, schema: schema,
      read: { root, json throws(SettingProblem) in
        guard root[keyPath: path] != nil else {
          guard json == nil else {
            throw SettingProblem(
              text: "belongs to the \(owner.key) \"\(owner.value)\", not \"\(current(root))\"; remove it, or set "
                + "\(owner.key) to \"\(owner.value)\"")
          }
          return
        }
        guard let json else { throw SettingProblem(text: "missing; \(codec.remedy)") }
        root[keyPath: path] = try codec.decode(json)
      },
      write: { root in root[keyPath: path].map(codec.encode) })
  }

  /// The same field of something that `Root` is a part of; `section` may be empty.
  func within<Outer>(_ section: String, _ path: any (WritableKeyPath<Outer, Root> & Sendable)) -> Setting<Outer> {
    let (read, write) = (self.read, self.write)
    return Setting<Outer>(
      key: section.isEmpty ? key : "\(section).\(key)", schema: schema, defaultValue: defaultValue,
      read: { outer, json throws(SettingProblem) in try read(&outer[keyPath: path], json) },
      write: { outer in write(outer[keyPath: path]) })
  }

  /// The same field of something that `Root` may be a part of. A value makes a part of `blank` where there is none.
  func within<Outer>(
    _ section: String, _ path: any (WritableKeyPath<Outer, Root?> & Sendable), blank: Root
  ) -> Setting<Outer> {
    let (read, write) = (self.read, self.write)
    return Setting<Outer>(
      key: "\(section).\(key)", schema: schema, defaultValue: defaultValue,
      read: { outer, json throws(SettingProblem) in
        guard json != nil || outer[keyPath: path] != nil else { return }
        var part = outer[keyPath: path] ?? blank
        try read(&part, json)
        outer[keyPath: path] = part
      },
      write: { outer in outer[keyPath: path].flatMap(write) })
  }

  /// The same field, which exists only where `condition` holds.
  func when(_ condition: @escaping @Sendable (Root) -> Bool) -> Setting {
    let (read, write) = (self.read, self.write)
    return Setting(
      key: key, schema: schema, defaultValue: defaultValue,
      read: { root, json throws(SettingProblem) in if condition(root) { try read(&root, json) } },
      write: { root in condition(root) ? write(root) : nil })
  }
}
