import CHDF5

/// A number type that datasets and attributes hold: the fixed-width integers, Int (as Int64), Float and Double.
public protocol HDF5Scalar: BitwiseCopyable, Sendable {
  static var hdf5ScalarKind: HDF5ScalarKind { get }
}

/// The number types as HDF5 stores them, little endian.
public enum HDF5ScalarKind: String, Sendable {
  case float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64

  var isFloat: Bool { self == .float32 || self == .float64 }

  private var scalar: chdf5_scalar {
    switch self {
    case .float32: CHDF5_FLOAT32
    case .float64: CHDF5_FLOAT64
    case .int8: CHDF5_INT8
    case .int16: CHDF5_INT16
    case .int32: CHDF5_INT32
    case .int64: CHDF5_INT64
    case .uint8: CHDF5_UINT8
    case .uint16: CHDF5_UINT16
    case .uint32: CHDF5_UINT32
    case .uint64: CHDF5_UINT64
    }
  }

  var memoryType: hid_t { chdf5_memory_type(scalar) }
  var storedType: hid_t { chdf5_stored_type(scalar) }
}

extension Float: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .float32 } }
extension Double: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .float64 } }
extension Int8: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .int8 } }
extension Int16: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .int16 } }
extension Int32: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .int32 } }
extension Int64: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .int64 } }
extension Int: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .int64 } }
extension UInt8: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .uint8 } }
extension UInt16: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .uint16 } }
extension UInt32: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .uint32 } }
extension UInt64: HDF5Scalar { public static var hdf5ScalarKind: HDF5ScalarKind { .uint64 } }

/// What the type of a stored value is, for messages and for checks.
enum StoredType: Equatable {
  case integer(bits: Int, signed: Bool)
  case float(bits: Int)
  case string
  case compound
  /// The enumeration {FALSE, TRUE} that h5py uses for bool, or a bit field.
  case boolean
  case other(String)

  init(of type: hid_t) {
    let bits = Int(H5Tget_size(type)) * 8
    switch H5Tget_class(type) {
    case H5T_INTEGER: self = .integer(bits: bits, signed: H5Tget_sign(type) == H5T_SGN_2)
    case H5T_FLOAT: self = .float(bits: bits)
    case H5T_STRING: self = .string
    case H5T_COMPOUND: self = .compound
    case H5T_BITFIELD where bits == 8: self = .boolean
    case H5T_ENUM:
      var isBoolean = bits == 8 && H5Tget_nmembers(type) == 2
      for name in ["FALSE", "TRUE"] where isBoolean { isBoolean = H5Tget_member_index(type, name) >= 0 }
      self = isBoolean ? .boolean : .other("an enumeration")
    case H5T_OPAQUE: self = .other("opaque bytes")
    case H5T_REFERENCE: self = .other("a reference")
    case H5T_ARRAY: self = .other("an array type")
    case H5T_VLEN: self = .other("a variable-length list")
    default: self = .other("an unknown type")
    }
  }

  var name: String {
    switch self {
    case .integer(let bits, let signed): "\(signed ? "int" : "uint")\(bits)"
    case .float(let bits): "float\(bits)"
    case .string: "string"
    case .compound: "a table"
    case .boolean: "bool"
    case .other(let name): name
    }
  }

  /// Whether values of this type may be read as `kind`: never a fraction as an integer, nor text as a number.
  func converts(to kind: HDF5ScalarKind) -> Bool {
    switch self {
    case .integer: true
    case .float: kind.isFloat
    case .boolean, .string, .compound, .other: false
    }
  }
}
