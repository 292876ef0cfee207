/// Reads the members of one object, whose keys have been checked (`ConfigurationKeys.check`). Keys are dotted.
struct ObjectReader {
  let path: SettingPath
  private let object: JSONValue

  init(_ object: JSONValue, at path: SettingPath = SettingPath()) {
    self.object = object
    self.path = path
  }

  func json(_ key: String) -> JSONValue? { object[SettingPath(dotted: key)] }
  func has(_ key: String) -> Bool { json(key) != nil }

  func fail(_ key: String, _ problem: String) -> SettingError {
    SettingError(path: SettingPath(path.components + SettingPath(dotted: key).components), problem: problem)
  }

  /// Refuses `key` if it is present.
  func refuse(_ key: String, because problem: String) throws(SettingError) {
    if has(key) { throw fail(key, problem) }
  }

  func section(_ key: String) -> ObjectReader? {
    json(key).map { ObjectReader($0, at: path.appending(key)) }
  }

  /// nil where there is no value.
  func value<Value>(_ key: String, _ codec: SettingCodec<Value>) throws(SettingError) -> Value? {
    guard let json = json(key) else { return nil }
    do {
      return try codec.decode(json)
    } catch {
      throw fail(key, error.text)
    }
  }

  /// Sets a described field, to its default where there is no value.
  func read<Root>(_ setting: Setting<Root>, into root: inout Root) throws(SettingError) {
    do {
      try setting.read(&root, json(setting.key))
    } catch {
      throw fail(setting.key, error.text)
    }
  }

  /// Sets those of the described fields that there are values for.
  func readPresent<Root>(_ settings: [Setting<Root>], into root: inout Root) throws(SettingError) {
    for setting in settings where has(setting.key) { try read(setting, into: &root) }
  }
}
