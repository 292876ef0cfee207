import CHDF5
public import Diagnostics
import Foundation
public import Tables

extension HDF5Group {
  /// Writes a new one-dimensional compound dataset, which `pandas.read_hdf(file, name)` and
  /// `pandas.DataFrame(h5py_file[name][:])` open: int64, float64, float32, bool and fixed-length UTF-8 strings.
  ///
  /// Its attributes `title`, `column_order`, `headings`, `units`, `descriptions` and `decimals` (-1 for none) describe the
  /// columns in order. With `axis` the numeric columns are stored a second time as plain arrays in NXdata groups
  /// `NAME_plots/COLUMN`, which h5web and other NeXus viewers draw against the column `axis`.
  public func write(_ table: Table, to name: String, plottedAgainst axis: String? = nil) throws(Diagnostic) {
    precondition(axis.map { table.column($0) != nil } ?? true, "the table has no column to plot against")
    try HDF5Library.locked { () throws(Diagnostic) in
      let layout = try RowLayout(
        table,
        error: { problem in
          Diagnostic(file.path, at: absolute(name), problem)
        })
      let type = try compoundType(name, layout)
      let dataset = try createDataset(
        name, type: type.id, shape: [table.rowCount], bytesEach: layout.width, compressed: true, growing: true)
      if table.rowCount > 0 { try dataset.write(type.id, from: layout.pack(table)) }
      try setAttribute("title", to: table.title, on: name)
      try setAttribute("column_order", to: table.columns.map(\.name), on: name)
      try setAttribute("headings", to: table.columns.map(\.heading), on: name)
      try setAttribute("units", to: table.columns.map(\.unit), on: name)
      try setAttribute("descriptions", to: table.columns.map(\.description), on: name)
      try setAttribute("decimals", to: table.columns.map { $0.decimals ?? -1 }, on: name)
      if let axis { try writePlots(of: table, to: name + "_plots", axis: axis) }
    }
  }

  /// Reads a one-dimensional compound dataset, also of other programs: integers, floats, bools and strings.
  public func readTable(_ name: String) throws(Diagnostic) -> Table {
    try HDF5Library.locked { () throws(Diagnostic) in
      let dataset = try dataset(name)
      let type = try dataset.type()
      let stored = StoredType(of: type.id)
      guard stored == .compound else { throw dataset.error("holds \(stored.name), not a table") }
      let shape = try dataset.shape()
      guard shape.count == 1 else {
        throw dataset.error("has shape \(describe(shape)), where a table has one dimension")
      }
      let layout = try RowLayout(storedType: type.id, in: dataset)
      let rows = try dataset.count(of: shape, bytesEach: layout.width)
      let memoryType = try compoundType(name, layout)
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, rows * layout.width), alignment: 8)
      defer { bytes.deallocate() }
      if rows > 0 { try dataset.read(memoryType.id, into: bytes.baseAddress!) }
      return try describeColumns(of: layout.unpack(bytes, rows: rows), name)
    }
  }

  private func compoundType(_ name: String, _ layout: RowLayout) throws(Diagnostic) -> Handle {
    let type = try handle(name, H5Tcreate(H5T_COMPOUND, layout.width))
    for field in layout.fields {
      let status: herr_t
      switch field.kind {
      case .number(let kind): status = H5Tinsert(type.id, field.name, field.offset, kind.storedType)
      case .boolean:
        let boolean = try handle(name, chdf5_boolean_type())
        status = H5Tinsert(type.id, field.name, field.offset, boolean.id)
      case .string(let width, let characters):
        let string = try handle(name, chdf5_fixed_string_type(width, characters))
        status = H5Tinsert(type.id, field.name, field.offset, string.id)
      }
      guard status >= 0 else { throw damaged(name) }
    }
    return type
  }

  /// Adds what the attributes say about the columns, where they are there and complete.
  private func describeColumns(of table: Table, _ name: String) throws(Diagnostic) -> Table {
    func texts(_ attribute: String) throws(Diagnostic) -> [String]? {
      guard try hasAttribute(attribute, on: name) else { return nil }
      let texts = try stringAttributes(attribute, on: name)
      return texts.count == table.columns.count ? texts : nil
    }
    let (headings, units, descriptions) = (try texts("headings"), try texts("units"), try texts("descriptions"))
    let decimals =
      try hasAttribute("decimals", on: name) ? try attributes("decimals", as: Int.self, on: name) : []
    var columns = table.columns
    for index in columns.indices {
      columns[index].heading = headings?[index] ?? ""
      columns[index].unit = units?[index] ?? ""
      columns[index].description = descriptions?[index] ?? ""
      if decimals.count == columns.count, (0...17).contains(decimals[index]) {
        columns[index].decimals = decimals[index]
      }
    }
    let title = try hasAttribute("title", on: name) ? try stringAttribute("title", on: name) : ""
    return Table(title: title, columns: columns)
  }

  private func writePlots(of table: Table, to name: String, axis: String) throws(Diagnostic) {
    let plots = try createGroup(name)
    try plots.setAttribute("NX_class", to: "NXcollection")
    var axisPath: String?
    for column in table.columns where column.name != axis && column.isNumeric {
      let plot = try plots.createGroup(column.name)
      try plot.setAttribute("NX_class", to: "NXdata")
      try plot.setAttribute("signal", to: column.name)
      try plot.setAttribute("axes", to: [axis])
      try plot.setAttribute("title", to: table.title.isEmpty ? column.name : "\(table.title): \(column.name)")
      try plot.writePlain(column)
      if let axisPath {
        let links = try handle(name, chdf5_link_creation())
        let id = try file.identifier()
        guard H5Lcreate_hard(id, axisPath, id, plot.absolute(axis), links.id, 0) >= 0 else { throw damaged(name) }
      } else if let column = table.column(axis) {
        try plot.writePlain(column)
        axisPath = plot.absolute(axis)
      }
    }
  }

  private func writePlain(_ column: Table.Column) throws(Diagnostic) {
    switch column.values {
    case .integers(let values): try write(values, to: column.name)
    case .doubles(let values): try write(values, to: column.name)
    case .floats(let values): try write(values, to: column.name)
    case .booleans(let values): try write(values.map { UInt8($0 ? 1 : 0) }, to: column.name)
    case .strings(let values): try write(values, to: column.name)
    }
    let label = column.heading.isEmpty ? column.name : column.heading
    try setAttribute("long_name", to: column.unit.isEmpty ? label : "\(label) (\(column.unit))", on: column.name)
    try setAttribute("units", to: column.unit, on: column.name)
  }
}

extension Table.Column {
  var isNumeric: Bool {
    if case .strings = values { false } else { true }
  }
}

/// Where each column lies in a packed row.
private struct RowLayout {
  enum Kind {
    case number(HDF5ScalarKind)
    case boolean
    /// HDF5 does not convert between character sets, so that of other programs' files is kept.
    case string(width: Int, characters: H5T_cset_t)

    var width: Int {
      switch self {
      case .number(.float32): 4
      case .number: 8
      case .boolean: 1
      case .string(let width, _): width
      }
    }
  }

  struct Field {
    let name: String
    let kind: Kind
    let offset: Int
  }

  private(set) var fields: [Field] = []
  private(set) var width = 0

  private mutating func append(_ name: String, _ kind: Kind) {
    fields.append(Field(name: name, kind: kind, offset: width))
    width += kind.width
  }

  init(_ table: Table, error: (String) -> Diagnostic) throws(Diagnostic) {
    guard !table.columns.isEmpty else { throw error("a table without columns cannot be stored") }
    for column in table.columns {
      guard !column.name.isEmpty, column.name != ".", !column.name.utf8.contains(where: { $0 == 0 || $0 == 0x2F })
      else { throw error("column name '\(column.name)' is empty, '.', or has a '/' or NUL character") }
      switch column.values {
      case .integers: append(column.name, .number(.int64))
      case .doubles: append(column.name, .number(.float64))
      case .floats: append(column.name, .number(.float32))
      case .booleans: append(column.name, .boolean)
      case .strings(let strings):
        guard !strings.contains(where: { $0.utf8.contains(0) }) else {
          throw error("column '\(column.name)': a string with a NUL character cannot be stored")
        }
        append(column.name, .string(width: max(1, strings.map(\.utf8.count).max() ?? 0), characters: H5T_CSET_UTF8))
      }
    }
  }

  init(storedType: hid_t, in dataset: borrowing StoredValue) throws(Diagnostic) {
    for index in 0..<UInt32(max(0, H5Tget_nmembers(storedType))) {
      guard let nameBytes = H5Tget_member_name(storedType, index) else {
        throw dataset.error("column \(index) has no name")
      }
      let name = String(cString: nameBytes)
      H5free_memory(nameBytes)
      let member = try Handle(H5Tget_member_type(storedType, index)) { [object = dataset.object, file = dataset.file] in
        Diagnostic(file, at: object, "HDF5 failed: \($0)")
      }
      switch StoredType(of: member.id) {
      case .integer: append(name, .number(.int64))
      case .float(let bits): append(name, .number(bits <= 32 ? .float32 : .float64))
      case .boolean where H5Tget_class(member.id) == H5T_ENUM: append(name, .boolean)
      case .string where H5Tis_variable_str(member.id) == 0:
        append(name, .string(width: H5Tget_size(member.id), characters: H5Tget_cset(member.id)))
      case let other:
        throw dataset.error("column '\(name)' holds \(other.name), which tables here do not have")
      }
    }
  }

  func pack(_ table: Table) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: width * table.rowCount) { buffer, initialized in
      buffer.initialize(repeating: 0)
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      for (field, column) in zip(fields, table.columns) {
        func place<Value: BitwiseCopyable>(_ values: [Value]) {
          for (row, value) in values.enumerated() {
            bytes.storeBytes(of: value, toByteOffset: row * width + field.offset, as: Value.self)
          }
        }
        switch column.values {
        case .integers(let values): place(values.map { Int64($0).littleEndian })
        case .doubles(let values): place(values.map(\.bitPattern.littleEndian))
        case .floats(let values): place(values.map(\.bitPattern.littleEndian))
        case .booleans(let values): place(values.map { UInt8($0 ? 1 : 0) })
        case .strings(let values):
          for (row, value) in values.enumerated() {
            for (index, byte) in value.utf8.enumerated() { bytes[row * width + field.offset + index] = byte }
          }
        }
      }
      initialized = width * table.rowCount
    }
  }

  func unpack(_ bytes: UnsafeMutableRawBufferPointer, rows: Int) -> Table {
    let columns = fields.map { field in
      func take<Value: BitwiseCopyable>(_: Value.Type) -> [Value] {
        (0..<rows).map { bytes.loadUnaligned(fromByteOffset: $0 * width + field.offset, as: Value.self) }
      }
      let values: Table.Column.Values
      switch field.kind {
      case .number(.float32): values = .floats(take(UInt32.self).map { Float(bitPattern: UInt32(littleEndian: $0)) })
      case .number(.float64): values = .doubles(take(UInt64.self).map { Double(bitPattern: UInt64(littleEndian: $0)) })
      case .number: values = .integers(take(Int64.self).map { Int(Int64(littleEndian: $0)) })
      case .boolean: values = .booleans(take(UInt8.self).map { $0 != 0 })
      case .string(let fieldWidth, _):
        values = .strings(
          (0..<rows).map { row in
            let start = row * width + field.offset
            return StringPadding.zeros.decode(bytes[start..<(start + fieldWidth)])
          })
      }
      return Table.Column(field.name, values)
    }
    return Table(columns: columns)
  }
}
