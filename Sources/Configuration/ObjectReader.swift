/// The keys one kind of configuration object has. Decoder and schema are held to the same list by a test.
package protocol ConfigurationKey: RawRepresentable, CaseIterable, Sendable where RawValue == String {}

extension ConfigurationKey {
  static var names: [String] { allCases.map(\.rawValue) }
}

/// Reads the members of one object; keys that are not in `Key` are refused at once.
struct ObjectReader<Key: ConfigurationKey> {
  let path: SettingPath
  private let value: JSONValue

  init(_ value: JSONValue, at path: SettingPath) throws(SettingError) {
    guard case .object(let members) = value else {
      throw SettingError(path: path, problem: "found \(value.found), expected an object with \(quotedList(Key.names))")
    }
    for member in members where Key(rawValue: member.key) == nil {
      throw unknownName(member.key, what: "key", at: path.appending(member.key), allowed: Key.names)
    }
    self.path = path
    self.value = value
  }

  func has(_ key: Key) -> Bool { value[key.rawValue] != nil }

  func fail(_ key: Key, _ problem: String) -> SettingError {
    SettingError(path: path.appending(key.rawValue), problem: problem)
  }

  /// Refuses `key` if it is present.
  func refuse(_ key: Key, because problem: String) throws(SettingError) {
    if has(key) { throw fail(key, problem) }
  }

  func raw(_ key: Key) -> JSONValue? { value[key.rawValue] }

  func section<Other>(_ key: Key, _: Other.Type) throws(SettingError) -> ObjectReader<Other>? {
    guard let value = raw(key) else { return nil }
    return try ObjectReader<Other>(value, at: path.appending(key.rawValue))
  }

  func string(_ key: Key) throws(SettingError) -> String? {
    guard let value = raw(key) else { return nil }
    guard case .string(let text) = value else { throw fail(key, "found \(value.found), expected a string") }
    return text
  }

  func bool(_ key: Key) throws(SettingError) -> Bool? {
    guard let value = raw(key) else { return nil }
    guard case .bool(let flag) = value else { throw fail(key, "found \(value.found), expected true or false") }
    return flag
  }

  func integer(_ key: Key, in range: ClosedRange<Int>) throws(SettingError) -> Int? {
    guard let value = raw(key) else { return nil }
    guard let integer = value.integer, range.contains(integer) else {
      throw fail(key, "found \(value.found), expected a whole number \(phrase(for: range))")
    }
    return integer
  }

  /// `allowed` says in words what `isValid` checks.
  func number(_ key: Key, _ allowed: String, where isValid: (Double) -> Bool) throws(SettingError) -> Double? {
    guard let value = raw(key) else { return nil }
    guard case .number(let number) = value, isValid(number) else {
      throw fail(key, "found \(value.found), expected a number \(allowed)")
    }
    return number
  }

  func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: Key, _: Choice.Type
  ) throws(SettingError) -> Choice? where Choice.RawValue == String {
    guard let value = raw(key) else { return nil }
    let names = Choice.allCases.map(\.rawValue)
    guard case .string(let name) = value else {
      throw fail(key, "found \(value.found), expected one of \(quotedList(names))")
    }
    guard let choice = Choice(rawValue: name) else {
      throw unknownName(name, what: "value", at: path.appending(key.rawValue), allowed: names)
    }
    return choice
  }

  func duration(_ key: Key) throws(SettingError) -> TrainingDuration? {
    guard let value = raw(key) else { return nil }
    return try TrainingDuration(value, at: path.appending(key.rawValue))
  }

  func list(_ key: Key) throws(SettingError) -> [JSONValue]? {
    guard let value = raw(key) else { return nil }
    guard case .array(let values) = value else { throw fail(key, "found \(value.found), expected a list") }
    return values
  }
}

func unknownName(_ name: String, what: String, at path: SettingPath, allowed: [String]) -> SettingError {
  let hint = nearestName(to: name, among: allowed).map { " did you mean \"\($0)\"?" } ?? ""
  return SettingError(
    path: path, problem: "unknown \(what) \(JSONValue.quoted(name));\(hint) allowed: \(quotedList(allowed))")
}

private func phrase(for range: ClosedRange<Int>) -> String {
  range.upperBound == Int.max ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
}

extension JSONValue {
  /// The value as messages quote it: short ones in full, long ones by kind.
  var found: String {
    switch self {
    case .array, .object: kind
    default: text
    }
  }

  var integer: Int? {
    guard case .number(let number) = self else { return nil }
    return Int(exactly: number)
  }
}
