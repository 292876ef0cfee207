import Foundation
import Storage
import Tables
import TestSupport
import Testing

@Suite("Tables in HDF5")
struct TableTests {
  static let sample = Table(
    title: "Training, by epoch",
    columns: [
      .init("epoch", heading: "Epoch", description: "Epoch, from 1", .integers([1, 2, 3])),
      .init(
        "trainLoss", heading: "Training loss", unit: "nats", description: "Mean cross-entropy", decimals: 3,
        .doubles([2.25, 0.1, -1e-300])),
      .init("frozenShare", unit: "%", description: "Of freezable weights – λ·u", .floats([0, 0.1, 100])),
      .init("finished", description: "", .booleans([false, true, true])),
      .init("layer", heading: "Layer", description: "Name", .strings(["", "conv1", "läyer|2"])),
    ])

  private func roundTrip(_ table: Table, plottedAgainst axis: String? = nil) throws -> HDF5Group {
    let folder = try TemporaryFolder()
    let path = folder.file("table.h5")
    try HDF5File.writeAtomically(to: path) { try $0.write(table, to: "run/epochs", plottedAgainst: axis) }
    return try HDF5File.open(path).root
  }

  @Test("A table comes back with its units, headings and descriptions")
  func complete() throws {
    let root = try roundTrip(Self.sample)
    #expect(try root.readTable("run/epochs") == Self.sample)
    #expect(
      try root.stringAttributes("column_order", on: "run/epochs")
        == ["epoch", "trainLoss", "frozenShare", "finished", "layer"])
    #expect(try root.stringAttributes("units", on: "run/epochs") == ["", "nats", "%", "", ""])
    #expect(try root.group("run").names() == ["epochs"])
  }

  @Test("An empty table comes back with its columns")
  func empty() throws {
    let table = Table(
      title: "none",
      columns: [
        .init("a", .integers([])), .init("b", unit: "s", .doubles([])), .init("c", .floats([])),
        .init("d", .booleans([])), .init("e", .strings([])),
      ])
    #expect(try roundTrip(table, plottedAgainst: "a").readTable("run/epochs") == table)
  }

  @Test("A table of many rows comes back", arguments: [1, 1000, 100_000])
  func long(rows: Int) throws {
    let table = Table(columns: [
      .init("i", .integers(Array(0..<rows))), .init("x", .doubles((0..<rows).map { Double($0).squareRoot() })),
      .init("s", .strings((0..<rows).map { "row \($0)" })),
    ])
    #expect(try roundTrip(table).readTable("run/epochs") == table)
  }

  @Test("Numeric columns are stored again for plotting, sharing the axis")
  func plots() throws {
    let root = try roundTrip(Self.sample, plottedAgainst: "epoch")
    let plots = try root.group("run/epochs_plots")
    #expect(try plots.names() == ["finished", "frozenShare", "trainLoss"])
    #expect(try plots.stringAttribute("NX_class", on: "trainLoss") == "NXdata")
    #expect(try plots.stringAttribute("signal", on: "trainLoss") == "trainLoss")
    #expect(try plots.stringAttributes("axes", on: "trainLoss") == ["epoch"])
    for name in try plots.names() { #expect(try plots.read("\(name)/epoch") == [1, 2, 3]) }
    #expect(try plots.read("trainLoss/trainLoss") == [2.25, 0.1, -1e-300])
    #expect(try plots.stringAttribute("long_name", on: "trainLoss/trainLoss") == "Training loss (nats)")
    #expect(try plots.stringAttribute("units", on: "trainLoss/trainLoss") == "nats")
  }

  @Test("Tables that cannot be stored say why", arguments: ["", ".", "a/b"])
  func badColumns(name: String) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    #expect {
      try HDF5File.writeAtomically(to: path) { try $0.write(Table(columns: [.init(name, .integers([]))]), to: "t") }
    } throws: {
      "\($0)" == "\(path): /t: column name '\(name)' is empty, '.', or has a '/' or NUL character"
    }
    #expect {
      try HDF5File.writeAtomically(to: path) { try $0.write(Table(columns: []), to: "t") }
    } throws: {
      "\($0)" == "\(path): /t: a table without columns cannot be stored"
    }
  }
}
