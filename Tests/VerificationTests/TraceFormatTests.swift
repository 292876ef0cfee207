import Foundation
import Kernels
import Storage
import TestSupport
import Testing
import Verification

/// Files that `replay` has to refuse, each in one line that names the file and what is wrong in it.
struct TraceFormatTests {
  /// What a trace's file says; written as it is, or with something wrong.
  struct Contents {
    var strings = [
      "format": "qat-reference-trace", "recipe": "learned-range", "method": "freeze", "model": "resnet8",
      "threshold_schedule": "fixed",
    ]
    var integers = [
      "version": 1, "bits": 2, "num_classes": 4, "epochs": 2, "batches_per_epoch": 1, "clean_steps": 1,
      "freeze_start_epoch": 0, "width": 2,
    ]
    var numbers = [
      "momentum": 0.9, "weight_decay": 1e-4, "lr_model": 0.1, "lr_quant": 1e-3, "threshold": 0.1, "distance_ema": 0.5,
    ]
    var layers = ["conv1", "fc"]
    var shapes: [String: [Int]] = [
      "batches/images": [2, 1, 3, 4, 4], "batches/labels": [2, 1], "steps/loss": [1], "float32_deviation/loss": [1],
      "steps/frozen": [1, 2], "quantizer_init": [2, 4], "steps/quantizer": [1, 2, 4],
    ]
    var label: Float = 0

    func write(to path: String) throws {
      try HDF5File.writeAtomically(to: path) { file in
        for (name, value) in strings { try file.setAttribute(name, to: value) }
        for (name, value) in integers { try file.setAttribute(name, to: value) }
        for (name, value) in numbers { try file.setAttribute(name, to: value) }
        try file.write(layers, to: "layers")
        for (name, shape) in shapes {
          let count = shape.reduce(1, *)
          if name.hasSuffix("labels") || name.hasSuffix("frozen") {
            try file.write([Int32](repeating: Int32(label), count: count), shape: shape, to: name)
          } else {
            try file.write([Float](repeating: 0, count: count), shape: shape, to: name)
          }
        }
      }
    }
  }

  /// What is said about a file with these contents; nil: it is a trace.
  private func refusal(_ contents: Contents) throws -> String? {
    let folder = try TemporaryFolder()
    let path = folder.file("trace.h5")
    try contents.write(to: path)
    do {
      _ = try Trace(path: path)
      return nil
    } catch {
      expectLine("\(error)", about: path)
      return "\(error)"
    }
  }

  private func expectLine(_ text: String, about path: String) {
    #expect(text.hasPrefix(path), "names the file: \(text)")
    #expect(!text.contains("\n"), "is one line: \(text)")
  }

  @Test("the file that the others are made from by one change is a trace")
  func unchanged() throws {
    #expect(try refusal(Contents()) == nil)
  }

  @Test(
    "a missing attribute is named",
    arguments: [
      "format", "version", "recipe", "method", "model", "threshold_schedule", "bits", "num_classes", "epochs",
      "batches_per_epoch", "clean_steps", "freeze_start_epoch", "momentum", "weight_decay", "lr_model", "lr_quant",
      "threshold", "distance_ema",
    ])
  func missingAttribute(name: String) throws {
    var contents = Contents()
    contents.strings[name] = nil
    contents.integers[name] = nil
    contents.numbers[name] = nil
    let text = try #require(try refusal(contents))
    #expect(text.contains(name), "\(text)")
  }

  @Test("full QAT needs no freezing attributes")
  func fullQAT() throws {
    var contents = Contents()
    contents.strings["method"] = "fullqat"
    contents.strings["threshold_schedule"] = nil
    contents.integers["freeze_start_epoch"] = nil
    contents.numbers["threshold"] = nil
    contents.numbers["distance_ema"] = nil
    #expect(try refusal(contents) == nil)
  }

  @Test(
    "a wrong shape is named",
    arguments: [
      ("batches/images", [2, 1, 4, 4, 3]), ("batches/images", [2, 1, 3, 4]), ("batches/images", [2, 1, 3, 4, 5]),
      ("batches/images", [1, 1, 3, 4, 4]), ("batches/images", [2, 1, 3, 3, 3]), ("batches/labels", [2]),
      ("steps/loss", [2]), ("float32_deviation/loss", [0]), ("steps/frozen", [1, 3]), ("quantizer_init", [2, 2]),
      ("steps/quantizer", [1, 4, 2]),
    ] as [(String, [Int])])
  func wrongShape(name: String, shape: [Int]) throws {
    var contents = Contents()
    contents.shapes[name] = shape
    let text = try #require(try refusal(contents))
    #expect(text.contains(name), "\(text)")
  }

  @Test("a missing dataset is named", arguments: Contents().shapes.keys.sorted())
  func missingDataset(name: String) throws {
    var contents = Contents()
    contents.shapes[name] = nil
    let text = try #require(try refusal(contents))
    #expect(text.contains(name), "\(text)")
  }

  @Test("another version or format is told from this one")
  func otherVersion() throws {
    var contents = Contents()
    contents.integers["version"] = 2
    var text = try #require(try refusal(contents))
    #expect(text.contains("version 2") && text.contains("expected 1"), "\(text)")
    contents = Contents()
    contents.strings["format"] = "spqat-checkpoint"
    text = try #require(try refusal(contents))
    #expect(text.contains("'spqat-checkpoint'") && text.contains("'qat-reference-trace'"), "\(text)")
  }

  @Test("an unknown choice is named with the known ones")
  func unknownChoice() throws {
    for (name, allowed) in [
      ("recipe", "'fixed-scale', 'learned-range'"), ("method", "'fullqat', 'freeze'"), ("model", "'resnet8'"),
      ("threshold_schedule", "'fixed', 'linear', 'sine'"),
    ] {
      var contents = Contents()
      contents.strings[name] = "cosine"
      let text = try #require(try refusal(contents))
      #expect(text.contains("'\(name)'") && text.contains("'cosine'") && text.contains(allowed), "\(text)")
    }
  }

  @Test(
    "an impossible number is named",
    arguments: [
      ("bits", 9), ("bits", 1), ("num_classes", 1), ("epochs", 0), ("batches_per_epoch", -1), ("clean_steps", 2),
      ("freeze_start_epoch", 3), ("width", 3), ("width", 0), ("distance_ema", 1), ("momentum", 2), ("lr_model", -1),
      ("threshold", .nan),
    ] as [(String, Double)])
  func impossibleNumber(name: String, value: Double) throws {
    var contents = Contents()
    if contents.integers[name] != nil { contents.integers[name] = Int(value) } else { contents.numbers[name] = value }
    let text = try #require(try refusal(contents))
    #expect(text.contains("'\(name)'"), "\(text)")
  }

  @Test("a label outside the classes is refused")
  func labelOutsideClasses() throws {
    var contents = Contents()
    contents.label = 4
    let text = try #require(try refusal(contents))
    #expect(text.contains("batches/labels") && text.contains("0...3"), "\(text)")
  }

  @Test("layers that the network does not have are refused, and so is a missing or misshapen tensor")
  func otherNetwork() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("trace.h5")
    func refusal(_ contents: Contents) throws -> String {
      try contents.write(to: path)
      let trace = try Trace(path: path)
      let error = #expect(throws: (any Error).self) {
        try TraceReplay(trace: trace, backend: CPUBackend(threads: 1))
      }
      let text = try "\(#require(error))"
      expectLine(text, about: path)
      return text
    }
    var contents = Contents()
    var text = try refusal(contents)
    #expect(text.contains("layers are") && text.contains("layer1.0.conv1"), "\(text)")

    contents.layers = [
      "conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2", "layer2.0.shortcut.0",
      "layer3.0.conv1", "layer3.0.conv2", "layer3.0.shortcut.0", "fc",
    ]
    contents.shapes["steps/frozen"] = [1, 10]
    contents.shapes["quantizer_init"] = [10, 4]
    contents.shapes["steps/quantizer"] = [1, 10, 4]
    text = try refusal(contents)
    #expect(text.contains("init/conv1.weight"), "\(text)")
    contents.shapes["init/conv1.weight"] = [2, 3, 3, 2]
    text = try refusal(contents)
    #expect(text.contains("init/conv1.weight") && text.contains("shape"), "\(text)")
  }

  @Test("a file that is not HDF5 or is not there is refused")
  func noHDF5() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("trace.h5")
    var error = #expect(throws: (any Error).self) { try Trace(path: path) }
    expectLine("\(try #require(error))", about: path)
    try Data("not HDF5".utf8).write(to: URL(fileURLWithPath: path))
    error = #expect(throws: (any Error).self) { try Trace(path: path) }
    expectLine("\(try #require(error))", about: path)
  }
}
