import Diagnostics
import Files
import Foundation
import Host
import Tables

/// Figures with the data that their scripts read, as files in one folder.
struct DrawnFigures {
  let figures: [Figure]
  let tables: [(name: String, table: Table)]

  /// Writes `NAME.csv` and `NAME.gp`, and has gnuplot draw `NAME.svg` and `NAME.png` from them.
  ///
  /// - Parameters:
  ///   - folder: made where it does not exist; other files in it are left alone.
  ///   - option: of the command line, which chooses the folder.
  ///   - gnuplot: the program; nil looks for it in $PATH.
  /// - Throws: where gnuplot is missing or fails, after the CSV files and scripts were written.
  func write(to folder: String, option: String, gnuplot: String? = nil) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw Diagnostic(cause: .system, folder, "cannot be made", remedy: "choose another folder with \(option)")
    }
    for (name, table) in tables {
      // Without the CR that RFC 4180 asks for, which gnuplot takes for part of the last column's name.
      try replaceFile(
        at: "\(folder)/\(name).csv", with: table.csv().replacingOccurrences(of: "\r\n", with: "\n"))
    }
    for figure in figures { try replaceFile(at: "\(folder)/\(figure.name).gp", with: figure.script) }
    guard let gnuplot = gnuplot ?? Subprocess.find("gnuplot") else {
      throw Diagnostic(
        "gnuplot", "is not installed, so nothing is drawn; data and scripts are in \(folder)",
        remedy: "install it (apt-get install gnuplot-nox)")
    }
    for figure in figures {
      for format in ["svg", "png"] { try draw(figure, format: format, in: folder, gnuplot: gnuplot) }
    }
  }

  private func draw(_ figure: Figure, format: String, in folder: String, gnuplot: String) throws {
    let result: Subprocess.Result
    do {
      result = try Subprocess.run(gnuplot, ["-e", "format='\(format)'", "\(figure.name).gp"], in: folder)
    } catch {
      throw Diagnostic(cause: .system, gnuplot, "cannot be started", remedy: "check the installation of gnuplot")
    }
    guard result.succeeded else {
      let reason = (result.text + result.errors).split(whereSeparator: \.isNewline).map {
        $0.trimmingCharacters(in: .whitespaces)
      }.last {
        !$0.isEmpty
      }
      throw Diagnostic("\(folder)/\(figure.name).gp", "gnuplot failed: \(reason ?? "no message")")
    }
  }
}
