import Foundation
import Host
import Reporting
import Tables
import TestSupport
import Testing

@Suite("Roofline")
struct RooflineTests {
  private let kernels = Table(
    title: "Kernels",
    columns: [
      .init("shape", .strings(["32x32 16-16", "32x32 16-16", "8x8 64-64"])),
      .init("kernel", .strings(["forward, float", "weight gradient, floats, 30 % frozen", "input gradient"])),
      .init("intensity", .doubles([36, 36, 12])), .init("gflops", .doubles([90, 80, 21])),
    ])

  @Test("a series for each kernel that was measured, below peak and bandwidth")
  func script() throws {
    let folder = try TemporaryFolder()
    let roofline = Roofline(kernels: kernels, operations: 236e9, bandwidth: 36e9, name: "roofline")
    if Subprocess.find("gnuplot") == nil {
      #expect(throws: (any Error).self) { try roofline.write(to: folder.path) }
    } else {
      try roofline.write(to: folder.path)
      let drawing = try String(contentsOfFile: folder.file("roofline.svg"), encoding: .utf8)
      #expect(drawing.contains("input gradient"))
      #expect(FileManager.default.fileExists(atPath: folder.file("roofline.png")))
    }
    let script = try String(contentsOfFile: folder.file("roofline.gp"), encoding: .utf8)
    #expect(script.contains("roof(x) = x * 36.0 < 236.0 ? x * 36.0 : 236.0"))
    #expect(script.contains("title 'forward, float'") && script.contains("title 'input gradient'"))
    // Neither what is not drawn nor what was not measured.
    #expect(!script.contains("30 %") && !script.contains("integers'"))
    let rows = try String(contentsOfFile: folder.file("roofline.csv"), encoding: .utf8)
    #expect(
      rows == """
        shape,kernel,intensity,gflops,series
        32x32 16-16,"forward, float",36.0,90.0,0
        32x32 16-16,"weight gradient, floats, 30 % frozen",36.0,80.0,-1
        8x8 64-64,input gradient,12.0,21.0,1

        """)
  }
}
