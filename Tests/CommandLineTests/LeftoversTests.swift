import Foundation
import Host
import Testing

@Suite("What killed processes and strange file systems leave")
struct LeftoversTests {
  private static let compiler = Subprocess.find("cc") ?? Subprocess.find("clang")

  @Test(
    "finished runs are finished where files cannot be locked, and training says why it cannot begin",
    .enabled(if: compiler != nil, "needs a C compiler"), arguments: [ENOSYS, ENOLCK, EOPNOTSUPP])
  func noLocks(code: Int32) throws {
    let place = try Workplace()
    #expect(try place.sweep(["--limit", "2"]).status == 0)
    let source = place.folder.appendingPathComponent("noflock.c")
    let library = place.folder.appendingPathComponent("noflock.so").path
    let text = """
      #include <errno.h>
      int flock(int descriptor, int operation) { (void)descriptor; (void)operation; errno = \(code); return -1; }
      """
    try Data(text.utf8).write(to: source)
    let compiled = try Subprocess.run(
      try #require(Self.compiler), ["-shared", "-fPIC", "-o", library, source.path])
    #expect(compiled.succeeded, "\(compiled.errors)")
    let preload = "LD_PRELOAD='\(library)'; export LD_PRELOAD"
    let status = try place.run(place.arguments("status"), through: preload)
    #expect(status.standardOutput.contains("2 finished, 0 running, 0 failed, 1 waiting"), "\(status.standardOutput)")
    let folder = try place.run(["status", "\(place.results)/tiny"], through: preload)
    #expect(!folder.standardOutput.contains("running"))
    let sweep = try place.run(place.arguments("sweep"), through: preload)
    #expect(sweep.status == 1)
    #expect(sweep.standardOutput.contains("the file system has no locks (flock)"), "\(sweep.standardOutput)")
    #expect(sweep.standardOutput.contains("0 trained, 2 already finished, 1 failed, 0 left"))
  }

  @Test("temporary files of killed processes go with the run's next session")
  func temporaryFiles() throws {
    let place = try Workplace()
    #expect(try place.sweep(["--limit", "1"]).status == 0)
    let plan = try place.sweep(["--dry-run"]).standardOutput
    let line = try #require(plan.split(separator: "\n").first { $0.contains("fullQAT") })
    let id = try #require(line.split(separator: " ").first)
    let folders = ["runs", "checkpoints"].map { "\(place.results)/tiny/\($0)" }
    for folder in folders {
      try Data([1]).write(to: URL(fileURLWithPath: "\(folder)/.\(id).h5.elsewhere-1-1.tmp"))
      try Data([1]).write(to: URL(fileURLWithPath: "\(folder)/.another.h5.elsewhere-1-1.tmp"))
    }
    #expect(try place.sweep().status == 0)
    for folder in folders {
      let left = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".tmp") }
      #expect(left == [".another.h5.elsewhere-1-1.tmp"])
    }
  }

  @Test(
    "a process that is killed between filing a run and removing its checkpoint leaves one, which the next sweep removes"
  )
  func checkpointOfFinishedRun() throws {
    let place = try Workplace()
    #expect(try place.sweep().status == 0)
    let checkpoints = "\(place.results)/tiny/checkpoints"
    let id = try #require(place.runFiles().first)
    try Data([1]).write(to: URL(fileURLWithPath: "\(checkpoints)/\(id)"))
    let sweep = try place.sweep()
    #expect(sweep.standardOutput.contains("0 trained, 3 already finished, 0 failed, 0 left"), "\(sweep.standardOutput)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: checkpoints) == [])
  }

  @Test("a checkpoint that cannot be used is named with a remedy, which works", arguments: ["", "somebody's notes"])
  func unusableCheckpoint(contents: String) throws {
    let place = try Workplace()
    #expect(try place.sweep(["--limit", "1"]).status == 0)
    let plan = try place.sweep(["--dry-run"]).standardOutput
    let line = try #require(plan.split(separator: "\n").first { $0.contains("fullQAT") })
    let id = try #require(line.split(separator: " ").first)
    let checkpoint = "\(place.results)/tiny/checkpoints/\(id).h5"
    try Data(contents.utf8).write(to: URL(fileURLWithPath: checkpoint))
    let blocked = try place.sweep()
    #expect(blocked.status == 1)
    #expect(blocked.standardOutput.contains("\(checkpoint): the checkpoint cannot be used ("))
    #expect(blocked.standardOutput.contains("); delete it, and the run begins anew"))
    try FileManager.default.removeItem(atPath: checkpoint)
    #expect(try place.sweep().status == 0)
  }
}
