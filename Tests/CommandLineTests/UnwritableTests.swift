import Foundation
import Records
import Testing

@Suite("Results that cannot be written", .serialized)
struct UnwritableTests {
  /// What makes the program run as somebody who may not write everywhere: nothing but for root.
  private static let asNobody: String? =
    getuid() == 0 ? #"exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$0" "$@""# : ":"

  /// Whether that works here, and nobody may run the program.
  private static let canDropRights: Bool = {
    guard let place = try? Workplace() else { return false }
    return (try? place.run(["--help"], through: asNobody))?.status == 0
  }()

  @Test(
    "a read-only folder is named by every command, in one line",
    .enabled(if: canDropRights, "root may write everywhere, and setpriv cannot drop its rights here"))
  func readOnly() throws {
    let place = try Workplace()
    #expect(try place.sweep(["--limit", "1"]).status == 0)
    let folder = "\(place.results)/tiny"
    func expectError(_ arguments: [String], _ message: String) throws {
      let output = try place.run(arguments, through: Self.asNobody)
      #expect(output.status == 2, "\(arguments[0])")
      #expect(output.standardError == "spqat: \(message)\n")
      #expect(output.standardOutput == "")
    }
    chmod(place.results, 0o555)
    chmod("\(folder)/runs", 0o555)
    defer {
      chmod(place.results, 0o755)
      chmod("\(folder)/runs", 0o755)
    }
    let remedy = "Permission denied; make the folder writable, or choose another with --results"
    try expectError(place.arguments("sweep"), "\(folder)/runs: cannot write to the folder: \(remedy)")
    let other = try place.write("other", #""axes": [{"method": ["fullQAT"]}]"#)
    try expectError(
      place.arguments("sweep", experiment: other), "\(place.results)/other: cannot make the folder: \(remedy)")
    chmod(folder, 0o555)
    defer { chmod(folder, 0o755) }
    try expectError(["report", folder], "\(folder)/report: cannot be made; choose another folder with --output")
    let file = try #require(try place.runFiles().first)
    try expectError(
      ["export", "\(folder)/runs/\(file)", "--format", "json", "--output", "\(folder)/x"],
      "\(folder)/x.json: cannot create the file: Permission denied; make the folder writable or choose another")
    try expectError(
      ["table", folder],
      "\(folder).h5: cannot create the file: Permission denied; make the folder writable or choose another")
    // Reading is allowed.
    #expect(try place.run(["show", "\(folder)/runs/\(file)"], through: Self.asNobody).status == 0)
    #expect(try place.run(["status", folder], through: Self.asNobody).status == 0)
  }

  // MARK: - A full disk

  /// A small file system: that of SPQAT_TEST_SMALL_DISK, or one mounted for the test.
  private final class SmallDisk {
    let path: String
    private let isMounted: Bool
    static let size = 8 << 20

    /// nil where nothing can be mounted.
    init?() {
      if let folder = ProcessInfo.processInfo.environment["SPQAT_TEST_SMALL_DISK"] {
        path = "\(folder)/spqat-\(UUID().uuidString)"
        isMounted = false
        guard mkdir(path, 0o755) == 0 else { return nil }
      } else {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("spqat-disk-\(UUID().uuidString)").path
        isMounted = true
        guard mkdir(path, 0o755) == 0 else { return nil }
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(Self.size)") == 0 else {
          rmdir(path)
          return nil
        }
      }
    }

    deinit {
      if isMounted { umount(path) }
      try? FileManager.default.removeItem(atPath: path)
    }

    /// Takes all but `spare` bytes of the file system.
    func fill(sparing spare: Int) throws {
      var status = statvfs()
      #expect(statvfs(path, &status) == 0)
      let free = Int(status.f_bavail) * Int(status.f_frsize)
      try Data(count: max(0, free - spare)).write(to: URL(fileURLWithPath: "\(path)/filler"))
    }

    func free() throws { try FileManager.default.removeItem(atPath: "\(path)/filler") }

    static let isAvailable: Bool = SmallDisk() != nil
  }

  @Test(
    "a full disk ends the sweep in one line, loses nothing, and the sweep goes on once there is space",
    .enabled(
      if: SmallDisk.isAvailable, "cannot mount a small file system here, and SPQAT_TEST_SMALL_DISK names none (8 MiB)"),
    arguments: [[], ["--jobs", "2"]])
  func fullDisk(more: [String]) throws {
    let place = try Workplace()
    let disk = try #require(SmallDisk())
    let results = "\(disk.path)/results"
    // A network small enough for the disk.
    let small = ["--set", "model=\"resnet8\""]
    #expect(try place.sweep(small + ["--limit", "1"], results: results).status == 0)
    let before = try place.runFiles(results: results)
    #expect(before.count == 1)
    let contents = try Data(contentsOf: URL(fileURLWithPath: "\(results)/tiny/runs/\(before[0])"))

    try disk.fill(sparing: 64 << 10)
    let output = try place.sweep(small + more, results: results)
    #expect(output.status == 2, "\(output.standardOutput)\(output.standardError)")
    let messages = output.errorLines.filter { $0.hasPrefix("spqat: ") }
    #expect(messages.count == 1, "\(output.standardError)")
    #expect(
      messages.first?.contains(": cannot write the file: No space left on device; free some space and run again")
        == true)
    #expect(messages.first?.hasSuffix("; what is finished is kept") == true)
    #expect(output.standardOutput.contains("0 trained, 1 already finished, "))
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(results)/tiny/runs")
    #expect(left == before, "no half-written and no temporary file")
    #expect(try Data(contentsOf: URL(fileURLWithPath: "\(results)/tiny/runs/\(before[0])")) == contents)

    try disk.free()
    let rest = try place.sweep(small + more, results: results)
    #expect(rest.status == 0, "\(rest.standardOutput)\(rest.standardError)")
    #expect(rest.standardOutput.contains("2 trained, 1 already finished, 0 failed, 0 left"))
    #expect(try place.sweep(small).status == 0)
    for file in try place.runFiles() {
      let difference = try place.run([
        "diff", "--ignore-times", "\(results)/tiny/runs/\(file)", place.runs.appendingPathComponent(file).path,
      ])
      #expect(difference.status == 0, "\(difference.standardOutput)")
    }
  }

  @Test(
    "TensorBoard on a full disk costs no run",
    .enabled(
      if: SmallDisk.isAvailable, "cannot mount a small file system here, and SPQAT_TEST_SMALL_DISK names none (8 MiB)"))
  func fullDiskOfTensorBoard() throws {
    let place = try Workplace(#""axes": [{"method": ["freeze"]}], "seeds": [1, 2]"#)
    let disk = try #require(SmallDisk())
    // The full-precision network's file finds room, and none after it.
    try disk.fill(sparing: 8 << 10)
    let output = try place.sweep(["--tensorboard", "\(disk.path)/events", "--set", "duration=\"60it\""])
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.contains("3 trained, 0 already finished, 0 failed, 0 left"))
    let warnings = output.errorLines.filter { $0.hasPrefix("warning: ") }
    #expect(warnings.count == 2, "\(warnings)")
    #expect(warnings.allSatisfy { $0.contains(": No space left on device; ") }, "\(warnings)")
  }
}
