import Configuration
import Datasets
import Foundation
import Interchange
import Records
import Runs
import Training
import Verification

extension Reader {
  /// Everything that reads bytes which somebody else may have written. `make fuzz` runs each.
  static let all: [Reader] = [
    png, gzip, tar, idx, cifar, json, experiment, setting, manifest, index, safetensors, slurm, lock, claim, run, trace,
    checkpoint,
  ]

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

  /// The images of a folder whose labels are good, or, of one dimension, the labels of one whose images are.
  private static let idx = Reader("idx") { bytes in
    let images = folder.appendingPathComponent("train-images-idx3-ubyte")
    let labels = folder.appendingPathComponent("train-labels-idx1-ubyte")
    let isLabels = bytes.count > 3 && bytes[3] == 1
    let good: [UInt8] =
      isLabels
      ? [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8] : [0, 0, 8, 1, 0, 0, 0, 2, 3, 9]
    write(bytes, to: isLabels ? labels : images)
    good.withUnsafeBytes { write($0, to: isLabels ? images : labels) }
    var files = FashionMNISTFiles()
    (files.side, files.trainCount, files.testCount) = (2, 2, 1)
    _ = try files.read(folder)
  }

  /// Of a tar archive, which the reader wants compressed.
  private static let cifar: Reader = {
    let file = folder.appendingPathComponent("cifar.tar.gz")
    var files = CIFARFiles.cifar10
    files.train = [CIFARFiles.File(name: "a.bin", records: 1)]
    files.test = [CIFARFiles.File(name: "b.bin", records: 1)]
    return Reader("cifar") { [files] bytes in
      var archive = Array(bytes)
      Checksums.mend(tar: &archive)
      Checksums.gzip(archive).withUnsafeBytes { write($0, to: file) }
      _ = try files.read(file, acceptOtherChecksum: true)
    }
  }()

  private static let json = Reader("json") { bytes in
    _ = try JSONParser.parse(Array(bytes))
  }

  private static let experiment = Reader(file: "experiment", as: "experiment.json") { file in
    _ = try Experiment.load(file: file.path, profile: nil)
  }

  private static let manifest = Reader(file: "manifest", as: DatasetManifest.fileName) { file in
    _ = try DatasetManifest.read(root: file.deletingLastPathComponent())
  }

  /// Of two training pictures and two for testing, whose files are empty and were written at the beginning of 1970.
  private static let index: Reader = {
    let tree = folder.appendingPathComponent("tree")
    for picture in ["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png"] {
      let file = tree.appendingPathComponent(picture)
      try? FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      write(UnsafeRawBufferPointer(start: nil, count: 0), to: file)
      utimes(file.path, [timeval(), timeval()])
    }
    let file = DatasetIndex.file(of: tree)
    return Reader("index") { bytes in
      write(bytes, to: file)
      _ = try DatasetIndex.load(file, root: tree, threads: 1)
    }
  }()

  private static let safetensors = Reader(file: "safetensors", as: "x.safetensors") { path in
    let file = try SafetensorsFile(path.path)
    for entry in file.header.entries { _ = try? file.floats(entry) }
    _ = try ImportedNetwork(file, model: nil, recipe: nil)
  }

  /// What `sbatch` and whatever a site puts around it print.
  private static let slurm = Reader("slurm") { bytes in
    _ = SlurmJobs.number(in: String(decoding: bytes, as: UTF8.self))
  }

  /// What whoever holds a run's lock says in it.
  private static let lock = Reader(file: "lock", as: "lock") { file in
    _ = RunLock.lastHolder(at: file.path)
  }

  /// What an experiment set out to show.
  private static let claim = Reader(file: "claim", as: "comparison.json") { file in
    _ = try RecordedClaim.read(in: file.deletingLastPathComponent().path)
  }

  /// `--set`, whose text becomes part of an experiment: of one with few runs, each of which is decoded again.
  private static let setting = Reader("setting") { bytes in
    let override = try Experiment.Override(argument: String(decoding: bytes, as: UTF8.self))
    _ = try Experiment.load(file: "Tests/Fuzz/setting.json", profile: nil, overrides: [override])
  }

  /// The final weights of a run that is read are also evaluated, where they are those of a whole network.
  private static let run = Reader(changed: "run", of: SmallTraining.runs) { file, choice in
    let record = try RunFile.read(file.path, includingTensors: true, includingObservation: true)
    _ = try record.json()
    guard SmallTraining.isWhole(run: choice) else { return }
    let session = try SmallTraining.session(choice)
    try session.load(final: record.tensors)
    _ = try session.evaluate()
  }

  private static let trace = Reader(changed: "trace", of: SmallTrace.traces) { file, _ in
    _ = try Trace(path: file.path)
  }

  /// A checkpoint that is taken is trained on from: nothing else stands between its numbers and the next steps.
  private static let checkpoint = Reader(changed: "checkpoint", of: SmallTraining.checkpoints) { file, choice in
    let session = try SmallTraining.session(choice)
    _ = try session.restoreCheckpoint(from: file.path)
    _ = try session.train { $0.finishedEpoch ? .stop : .proceed }
  }
}
