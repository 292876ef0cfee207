extension SettingCodec<String> {
  /// Names a folder: ASCII letters and digits, "-", "_" and ".", beginning with a letter or digit.
  static var experimentName: SettingCodec {
    SettingCodec(
      remedy: "it names the folder of results", schema: SettingSchema(kind: .string, pattern: namePattern),
      decode: { json throws(SettingProblem) in
        let name = try string.decode(json)
        guard let expression = try? Regex(namePattern), name.wholeMatch(of: expression) != nil else {
          throw SettingProblem(
            text:
              "found \(JSONValue.quoted(name)), expected 1 to 64 letters, digits, \"-\", \"_\" or \".\": it names a "
              + "folder" + (name.allSatisfy(\.isASCII) ? "" : " (ASCII letters alone)"))
        }
        // The files of an experiment's table lie beside its folder and have these endings.
        if let ending = tableEndings.first(where: { name.lowercased().hasSuffix($0) }) {
          throw SettingProblem(
            text: "found \(JSONValue.quoted(name)), whose ending \"\(ending)\" belongs to tables; leave it out")
        }
        return name
      }, encode: JSONValue.string)
  }

  private static var namePattern: String { "[A-Za-z0-9][A-Za-z0-9._-]{0,63}" }
  private static var tableEndings: [String] { [".h5", ".md", ".csv", ".tex", ".html"] }

  /// A caption, which has to fit into every kind of file.
  static var title: SettingCodec {
    SettingCodec(
      remedy: "a string", schema: SettingSchema(kind: .string),
      decode: { json throws(SettingProblem) in
        let title = try string.decode(json)
        if title.unicodeScalars.contains("\0") {
          throw SettingProblem(text: "holds a NUL character (\\u0000), which no table can store; remove it")
        }
        return title
      }, encode: JSONValue.string)
  }
}
