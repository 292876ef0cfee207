import Foundation
import Host
import Synchronization
import Testing

@Suite("Other programs")
struct SubprocessTests {
  @Test("both streams are read, however much comes on either")
  func bothStreams() throws {
    let script = "head -c 300000 /dev/zero >&2; head -c 400000 /dev/zero; echo end >&2"
    let result = try Subprocess.run("sh", ["-c", script])
    #expect(result.succeeded)
    #expect(result.output.count == 400_000)
    #expect(result.errors.utf8.count == 300_004)
    #expect(result.errors.hasSuffix("end\n"))
  }

  @Test("input is given whole, and may be left unread")
  func input() throws {
    let text = String(repeating: "0123456789", count: 50_000)
    #expect(try Subprocess.run("cat", [], input: text).text == text)
    #expect(try Subprocess.run("true", [], input: text).succeeded)
  }

  @Test("the way they end is told")
  func endings() throws {
    #expect(try Subprocess.run("sh", ["-c", "exit 7"]).ending == .exited(7))
    #expect(try Subprocess.run("sh", ["-c", "kill -KILL $$"]).ending == .killed(signal: SIGKILL))
  }

  @Test("a working directory is theirs alone")
  func folder() throws {
    #expect(try Subprocess.run("pwd", [], in: "/").text == "/\n")
    #expect(try Subprocess.run("pwd", []).text != "/\n")
  }

  @Test("the caller is asked now and then while they run")
  func meanwhile() throws {
    let calls = Mutex(0)
    _ = try Subprocess.run("sleep", ["1"]) { calls.withLock { $0 += 1 } }
    #expect(calls.withLock { $0 } >= 2)
  }

  @Test("one that is not there is named")
  func missing() {
    let error = #expect(throws: Subprocess.StartError.self) { _ = try Subprocess.run("no-such-program", []) }
    #expect(error?.description == "no-such-program is not on PATH")
    let other = #expect(throws: Subprocess.StartError.self) { _ = try Subprocess.run("/no/such/program", []) }
    #expect(other?.description == "/no/such/program cannot be started")
    #expect(Subprocess.find("sh")?.hasSuffix("/sh") == true)
  }
}
