import Storage

/// A trace's file in memory, to be written again with something changed.
struct TraceContents {
  var strings: [String: String] = [:]
  var integers: [String: Int] = [:]
  var numbers: [String: Double] = [:]
  var layers: [String] = []
  var arrays: [String: [Double]] = [:]
  var integerArrays: [String: [Int]] = [:]
  private var shapes: [String: [Int]] = [:]

  init(path: String) throws {
    let file = try HDF5File.open(path).root
    for name in try file.attributeNames() {
      if let text = try? file.stringAttribute(name) {
        strings[name] = text
      } else if let integer: Int = try? file.attribute(name) {
        integers[name] = integer
      } else {
        numbers[name] = try file.attribute(name)
      }
    }
    layers = try file.readStrings("layers")
    try read(file, prefix: "")
  }

  private mutating func read(_ group: HDF5Group, prefix: String) throws {
    for name in try group.names() where name != "layers" {
      if try group.member(name) == .group {
        try read(try group.group(name), prefix: "\(prefix)\(name)/")
        continue
      }
      shapes[prefix + name] = try group.shape(name)
      switch try group.scalarKind(name) {
      case .float32, .float64: arrays[prefix + name] = try group.read(name)
      default: integerArrays[prefix + name] = try group.read(name)
      }
    }
  }

  mutating func fill(_ name: String, with value: Double) {
    if let old = arrays[name] {
      arrays[name] = old.map { _ in value }
    } else {
      integerArrays[name] = integerArrays[name]!.map { _ in Int(value) }
    }
  }

  mutating func set(_ name: String, at index: Int, to value: Double) {
    if arrays[name] != nil { arrays[name]![index] = value } else { integerArrays[name]![index] = Int(value) }
  }

  func write(to path: String) throws {
    try HDF5File.writeAtomically(to: path) { file in
      for (name, value) in strings { try file.setAttribute(name, to: value) }
      for (name, value) in integers { try file.setAttribute(name, to: value) }
      for (name, value) in numbers { try file.setAttribute(name, to: value) }
      try file.write(layers, to: "layers")
      for (name, values) in arrays { try file.write(values, shape: shapes[name], to: name) }
      for (name, values) in integerArrays { try file.write(values, shape: shapes[name], to: name) }
    }
  }
}
