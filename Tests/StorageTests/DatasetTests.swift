import CHDF5
import Foundation
import Storage
import TestSupport
import Testing

@Suite("Datasets and attributes")
struct DatasetTests {
  /// The root of a file that `write` has filled; the file's name is gone already.
  private func written(_ write: (HDF5Group) throws -> Void) throws -> HDF5Group {
    let folder = try TemporaryFolder()
    let path = folder.file("test.h5")
    try HDF5File.writeAtomically(to: path, write)
    return try HDF5File.open(path).root
  }

  private func expectRoundTrip<Scalar: HDF5Scalar & Equatable>(_ values: [Scalar]) throws {
    let root = try written {
      try $0.write(values, to: "list")
      try $0.write(values + values, shape: [2, values.count], to: "matrix")
      try $0.write(scalar: values[0], to: "scalar")
      try $0.write([Scalar](), to: "empty")
      try $0.setAttribute("one", to: values[0])
      try $0.setAttribute("many", to: values, on: "list")
    }
    #expect(try root.read("list") == values)
    #expect(try root.read("matrix", shape: [2, values.count]) == values + values)
    #expect(try root.shape("matrix") == [2, values.count])
    #expect(try root.readScalar("scalar") == values[0])
    #expect(try root.shape("scalar") == [])
    #expect(try root.read("empty", as: Scalar.self) == [])
    #expect(try root.attribute("one") == values[0])
    #expect(try root.attributes("many", on: "list") == values)
  }

  @Test("Every number type comes back as written")
  func numbers() throws {
    try expectRoundTrip([Float(1.5), -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude])
    try expectRoundTrip([Double.pi, .infinity, -0.0, .leastNonzeroMagnitude])
    try expectRoundTrip([Int8.min, 0, .max])
    try expectRoundTrip([Int16.min, 0, .max])
    try expectRoundTrip([Int32.min, 0, .max])
    try expectRoundTrip([Int64.min, 0, .max])
    try expectRoundTrip([Int.min, 0, .max])
    try expectRoundTrip([UInt8.min, 7, .max])
    try expectRoundTrip([UInt16.min, 7, .max])
    try expectRoundTrip([UInt32.min, 7, .max])
    try expectRoundTrip([UInt64.min, 7, .max])
  }

  @Test("NaN comes back as NaN")
  func nan() throws {
    let root = try written {
      try $0.write([Double.nan, 1], to: "x")
    }
    let values = try root.read("x", as: Float.self)
    #expect(values[0].isNaN && values[1] == 1)
  }

  @Test("Numbers are converted where only precision is lost")
  func conversions() throws {
    let root = try written {
      try $0.write([0.1, 2.0], to: "doubles")
      try $0.write([Int64(-3), 4], to: "integers")
      try $0.write([UInt8(0), 255], to: "bytes")
    }
    #expect(try root.read("doubles", as: Float.self) == [0.1, 2])
    #expect(try root.read("integers", as: Int.self) == [-3, 4])
    #expect(try root.read("integers", as: Int8.self) == [-3, 4])
    #expect(try root.read("integers", as: Double.self) == [-3, 4])
    #expect(try root.read("bytes", as: Int.self) == [0, 255])
  }

  @Test("Floats are deflated fast, bytes well")
  func levels() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try HDF5File.writeAtomically(to: path) { root in
      try root.write([Float](repeating: 1, count: 10_000), to: "float")
      try root.write([Double](repeating: 1, count: 10_000), to: "double")
      try root.write([UInt8](repeating: 1, count: 100_000), to: "byte")
    }
    let file = H5Fopen(path, 0, 0)
    defer { H5Fclose(file) }
    for (name, expected) in ["float": 1, "double": 1, "byte": 6] as [String: UInt32] {
      let dataset = H5Dopen2(file, name, 0)
      let creation = H5Dget_create_plist(dataset)
      var (flags, count, level): (UInt32, Int, UInt32) = (0, 1, 0)
      #expect(H5Pget_filter_by_id2(creation, H5Z_filter_t(1), &flags, &count, &level, 0, nil, nil) >= 0)
      #expect(level == expected, "\(name)")
      H5Pclose(creation)
      H5Dclose(dataset)
    }
  }

  @Test("Large tensors come back, compressed or not, from and into buffers", arguments: [true, false])
  func large(compressed: Bool) throws {
    let shape = [64, 3, 33, 65]
    let values = (0..<shape.reduce(1, *)).map { Float($0 % 1009) - 504.25 }
    let folder = try TemporaryFolder()
    let path = folder.file("large.h5")
    try HDF5File.writeAtomically(to: path) { root in
      try values.withUnsafeBufferPointer {
        try root.write($0, shape: shape, to: "a/b/tensor", compressed: compressed)
      }
    }
    let root = try HDF5File.open(path).root
    #expect(try root.read("a/b/tensor", shape: shape) == values)
    var copy = [Float](repeating: .nan, count: values.count)
    try copy.withUnsafeMutableBufferPointer { try root.read("a/b/tensor", into: $0, shape: shape) }
    #expect(copy == values)
    let size = try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    #expect((size < values.count * 2) == compressed)
  }

  static let awkwardStrings = [
    "", " ", "plain", "trailing  ", "é – λ 日本 🙂", "a\nb\t\"c\"", String(repeating: "x", count: 5000),
  ]

  @Test("Strings come back, awkward ones too")
  func strings() throws {
    let root = try written {
      try $0.write(Self.awkwardStrings, to: "list")
      try $0.write([String](), to: "none")
      for (index, string) in Self.awkwardStrings.enumerated() {
        try $0.write(string, to: "\(index)")
        try $0.setAttribute("text\(index)", to: string)
      }
      try $0.setAttribute("list", to: Self.awkwardStrings)
      try $0.setAttribute("none", to: [String]())
    }
    #expect(try root.readStrings("list") == Self.awkwardStrings)
    #expect(try root.readStrings("none") == [])
    for (index, string) in Self.awkwardStrings.enumerated() {
      #expect(try root.readString("\(index)") == string)
      #expect(try root.stringAttribute("text\(index)") == string)
    }
    #expect(try root.stringAttributes("list") == Self.awkwardStrings)
    #expect(try root.stringAttributes("none") == [])
  }

  @Test(
    "Awkward names work", arguments: ["conv1.weight", "with space", "λ=0.1", "..", "a\"b'c\\d", "-", "x@y", "%", "…"])
  func names(name: String) throws {
    let root = try written {
      try $0.write([1, 2], to: name)
      try $0.setAttribute(name, to: 3, on: name)
      try $0.createGroup("g \(name)").write(scalar: 4, to: name)
    }
    #expect(try root.read(name) == [1, 2])
    #expect(try root.attribute(name, on: name) == 3)
    #expect(try root.attributeNames(on: name) == [name])
    #expect(try root.group("g \(name)").readScalar(name) == 4)
    #expect(try root.readScalar("g \(name)/\(name)") == 4)
  }

  @Test("Groups list what they hold, sorted")
  func listing() throws {
    let root = try written {
      try $0.write([1], to: "z")
      try $0.setAttribute("units", to: "s", on: "z")
      try $0.write([1], to: "b/c")
      _ = try $0.createGroup("a")
    }
    #expect(try root.names() == ["a", "b", "z"])
    #expect(try root.datasetNames() == ["z"])
    #expect(try root.contains("b/c") && !root.contains("b/d") && !root.contains("z/y") && !root.contains("q/c"))
    #expect(try root.group("a").names() == [])
    #expect(try root.group("b").path == "/b")
    #expect(try root.member("z") == .dataset && root.member("b") == .group && root.member("c") == nil)
    #expect(try root.hasAttribute("units") == false)
    #expect(try root.hasAttribute("units", on: "z"))
  }

  @Test("Several threads read and write at once")
  func threads() throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    DispatchQueue.concurrentPerform(iterations: 8) { index in
      #expect(throws: Never.self) {
        let file = "\(path)/\(index).h5"
        for round in 0..<5 {
          let values = (0..<5000).map { Double($0 * index + round) }
          try HDF5File.writeAtomically(to: file) { try $0.write(values, to: "x") }
          #expect(try HDF5File.open(file).root.read("x") == values)
        }
      }
    }
    #expect(try folder.contents == (0..<8).map { "\($0).h5" })
  }
}
