import Files
import Foundation
import TestSupport
import Testing

@Suite("Replacing files")
struct ReplaceFileTests {
  @Test("Text replaces a file and leaves nothing beside it")
  func text() throws {
    let folder = try TemporaryFolder()
    try replaceFile(at: folder.file("a.txt"), with: "one\n")
    try replaceFile(at: folder.file("a.txt"), with: "two – λ\n")
    #expect(try String(contentsOfFile: folder.file("a.txt"), encoding: .utf8) == "two – λ\n")
    #expect(try folder.contents == ["a.txt"])
  }

  @Test("What a killed process left behind is removed by the next writer, what a living one writes is not")
  func abandoned() throws {
    let folder = try TemporaryFolder()
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count)
    let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/bin/true")
    try child.run()
    child.waitUntilExit()
    let dead = ".a.h5.\(host)-\(child.processIdentifier)-1.tmp"
    let others = [".a.h5.\(host)-\(getppid())-1.tmp", ".a.h5.elsewhere-1-1.tmp", ".b.h5.\(host)-1-1.tmp"].sorted()
    for name in others + [dead] { try Data("x".utf8).write(to: URL(fileURLWithPath: folder.file(name))) }
    try replaceFile(at: folder.file("a.h5"), with: "text")
    #expect(try folder.contents == others + ["a.h5"])
  }
}
