import Foundation
import TestSupport
import Testing

@Suite("docs/plotting.md")
struct PlottingGuideTests {
  @Test(
    "each piece of Python draws its figure from what a sweep wrote",
    .enabled(
      if: PythonInterpreter.has("pandas, tables, h5py, matplotlib"),
      "no Python with pandas, tables, h5py and matplotlib: `make test` makes one, or set SPQAT_TEST_PYTHON to an interpreter"
    ))
  func pieces() throws {
    let guide = try String(contentsOf: Spqat.repository.appendingPathComponent("docs/plotting.md"), encoding: .utf8)
    let pieces = guide.matches(of: /```python\n((?:.|\n)*?)```/).map { String($0.1) }
    try #require(pieces.count == 5)
    let place = try Workplace()
    let file = try place.write("table2", #""axes": [{"method": ["fullQAT", "freeze"]}]"#)
    #expect(try place.run(place.arguments("sweep", experiment: file)).status == 0)
    for piece in pieces {
      let picture = try #require(piece.firstMatch(of: /savefig\("([^"]+)"/)).1
      let (status, output) = try PythonInterpreter.run([
        "-W", "error", "-c",
        "import os, matplotlib; matplotlib.use('agg'); os.chdir(r'\(place.folder.path)')\n\(piece)",
      ])
      #expect(status == 0, "\(picture): \(output)")
      let bytes = try Data(contentsOf: place.folder.appendingPathComponent(String(picture)))
      #expect(bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) && bytes.count > 10_000, "\(picture)")
    }
  }
}
