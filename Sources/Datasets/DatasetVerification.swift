public import Diagnostics
public import Foundation
import Synchronization

/// What `spqat dataset verify` finds in a tree.
public struct DatasetVerification: Sendable {
  /// Images in the tree, sound or not.
  public let imageCount: Int
  /// Every fault, in the order of the files.
  public let problems: [Diagnostic]
  /// What the tree holds; nil when there are problems.
  public let manifest: DatasetManifest?

  /// Decodes every image of the tree at `root` and compares the whole with its manifest, collecting all faults rather
  /// than stopping at the first. Images may differ in size unless a manifest says otherwise.
  ///
  /// - Throws: what makes the tree as a whole unreadable, such as a missing split.
  public static func run(
    root: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount, limits: ImageLimits = ImageLimits(),
    progress: ProgressHandler? = nil
  ) throws(Diagnostic) -> DatasetVerification {
    let folder = try ImageFolder(root: root)
    let stored = try DatasetManifest.read(root: root)
    let images = folder.train + folder.test
    let faults = Mutex<[(index: Int, error: Diagnostic)]>([])
    try forEachIndex(
      below: images.count, threads: threads, progress: progress, state: ImageFileReader(limits: limits)
    ) { (reader: ImageFileReader, index: Int) throws(Diagnostic) in
      let path = images[index].path
      do throws(Diagnostic) {
        let size = try reader.open(path)
        if let stored, size != PixelSize(width: stored.width, height: stored.height) {
          throw Diagnostic(
            path, "the image is \(size), \(stored.width)x\(stored.height) according to the manifest",
            remedy: "import the data set again")
        }
        _ = try bytes(count: size.rgbBytes) { (pixels: SharedBytes) throws(Diagnostic) in
          try reader.decode(path, size: size, into: pixels.pointer)
        }
      } catch {
        faults.withLock { $0.append((index, error)) }
      }
    }
    var problems = faults.withLock { $0 }.sorted { $0.index < $1.index }.map(\.error)
    var manifest: DatasetManifest?
    if let stored {
      do throws(Diagnostic) {
        try stored.checkFiles(of: folder)
        if problems.isEmpty { manifest = try ImageDataset.load(root: root, threads: threads, limits: limits).manifest }
      } catch {
        problems.append(error)
      }
    }
    return DatasetVerification(imageCount: images.count, problems: problems, manifest: manifest)
  }
}
