import Datasets
import Diagnostics
import Foundation
import Testing

@Suite("Generated pictures")
struct ShapePicturesTests {
  @Test("the same pictures every time, of many sizes, indexed, and never over something else")
  func written() throws {
    let folder = try ScratchFolder()
    let shapes = ShapePictures(trainCount: 3, testCount: 2, sides: 20...40)
    let first = try shapes.write(to: folder["a"], threads: 1)
    let second = try shapes.write(to: folder["b"], threads: 3)
    #expect(first.contentHash == second.contentHash)
    #expect(first.classes == ShapePictures.classes && first.classes == first.classes.sorted())
    #expect(first.trainCount == 24 && first.testCount == 16)
    #expect(Set(first.entries.map { "\($0.size)" }).count > 30)
    #expect(Set(first.entries.map(\.checksum)).count == 40)
    #expect(
      try DatasetIndex.load(DatasetIndex.file(of: folder["a"]), root: folder["a"]).contentHash == first.contentHash)
    #expect(
      datasetError { () throws(Diagnostic) in try shapes.write(to: folder["a"], threads: 1) }?.description
        == "\(folder["a"].path): something is there already; remove it, or choose another place with --to")
  }
}
