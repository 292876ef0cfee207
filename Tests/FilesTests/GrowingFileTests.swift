import Diagnostics
import Files
import Foundation
import TestSupport
import Testing

@Suite("Growing files")
struct GrowingFileTests {
  @Test(
    "hold what they are given, whatever was there, and what is appended",
    arguments: ["", "ab", "abcdef", "abX", "Xbcdef", "abcdefgh"])
  func contents(before: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(before, to: "file")
    let reader = try #require(FileHandle(forReadingAtPath: path))
    let file = try GrowingFile(at: path, holding: Data("abcdef".utf8))
    try file.append(Data("gh".utf8))
    try file.append(Data("_ij".utf8).dropFirst())
    // It is the same file, for those that have it open.
    #expect(try reader.readToEnd() == Data("abcdefghij".utf8))
    #expect(try folder.contents == ["file"])
  }

  @Test("are made where there is none, but no folder for them")
  func missing() throws {
    let folder = try TemporaryFolder()
    _ = try GrowingFile(at: folder.file("new"), holding: Data("a".utf8))
    #expect(try String(contentsOfFile: folder.file("new"), encoding: .utf8) == "a")
    let path = folder.file("none/file")
    #expect(
      throws: Diagnostic(
        cause: .absent, path, "cannot create the file: No such file or directory",
        remedy: "create the folder \(folder.path)/none first")
    ) { try GrowingFile(at: path, holding: Data()) }
  }

  @Test("are no pipes and devices")
  func special() throws {
    let folder = try TemporaryFolder()
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    #expect(throws: Diagnostic.self) { try GrowingFile(at: folder.file("pipe"), holding: Data()) }
    #expect(throws: Diagnostic(cause: .system, "/dev/null", "is not a regular file")) {
      try GrowingFile(at: "/dev/null", holding: Data("a".utf8))
    }
  }
}
