import Configuration
import Datasets
import Foundation
import Interchange
import Records
import Verification

extension Reader {
  /// Everything that reads bytes which somebody else may have written. `make fuzz` runs each.
  static let all: [Reader] = [png, gzip, tar, idx, cifar, json, experiment, manifest, run, trace, safetensors]

  /// Images, with the checksums of all chunks made right: otherwise nothing but those would be tried.
  private static let png = Reader("png") { bytes in
    var file = Array(bytes)
    Checksums.mend(png: &file)
    try file.withUnsafeBytes { file in
      let size = try PNG.size(of: file)
      guard size.width <= 512, size.height <= 512 else { return }
      var pixels = [UInt8](repeating: 0, count: size.width * size.height * 3)
      try PNG.decode(file, size: size, into: &pixels)
    }
  }

  private static let gzip = Reader("gzip") { bytes in
    _ = try gunzip(Data(bytes), path: "x", limit: 1 << 16)
  }

  private static let tar = Reader("tar") { bytes in
    var file = Array(bytes)
    Checksums.mend(tar: &file)
    _ = try untar(Data(file), path: "x")
  }

  private static let idx = Reader(file: "idx", as: "train-images-idx3-ubyte") { file in
    var files = FashionMNISTFiles()
    (files.side, files.trainCount, files.testCount) = (2, 2, 1)
    _ = try files.read(file.deletingLastPathComponent())
  }

  /// Of a tar archive, which the reader wants compressed.
  private static let cifar = Reader("cifar") { bytes in
    var archive = Array(bytes)
    Checksums.mend(tar: &archive)
    let file = folder.appendingPathComponent("cifar.tar.gz")
    try Data(Checksums.gzip(archive)).write(to: file)
    var files = CIFARFiles.cifar10
    files.train = [CIFARFiles.File(name: "a.bin", records: 1)]
    files.test = [CIFARFiles.File(name: "b.bin", records: 1)]
    _ = try files.read(file, acceptOtherChecksum: true)
  }

  private static let json = Reader("json") { bytes in
    _ = try JSONParser.parse(Array(bytes))
  }

  private static let experiment = Reader(file: "experiment", as: "experiment.json") { file in
    _ = try Experiment.load(file: file.path, profile: nil)
  }

  private static let manifest = Reader(file: "manifest", as: DatasetManifest.fileName) { file in
    _ = try DatasetManifest.read(root: file.deletingLastPathComponent())
  }

  /// A changed file without the checksum at its end is as good as any.
  private static let run = Reader(file: "run", as: "run.h5") { file in
    _ = try RunFile.read(file.path, includingTensors: true, includingObservation: true)
  }

  private static let trace = Reader(file: "trace", as: "trace.h5") { file in
    _ = try Trace(path: file.path)
  }

  private static let safetensors = Reader("safetensors") { bytes in
    _ = try SafetensorsHeader(bytes, path: "x")
  }
}
