import CHDF5
import Diagnostics
import Foundation

/// The HDF5 library as a whole: it is not thread-safe, so every call happens within `locked`.
enum HDF5Library {
  // Recursive, because a handle closes itself in its deinit, which may run inside another call.
  private static let lock = NSRecursiveLock()

  static func locked<Result: ~Copyable, Failure>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    lock.lock()
    chdf5_enter()
    defer {
      chdf5_leave()
      lock.unlock()
    }
    chdf5_prepare()
    return try body()
  }

  /// The innermost message on HDF5's error stack. Any later call clears it.
  static var errorText: String {
    var text = [CChar](repeating: 0, count: 256)
    chdf5_error_text(&text, text.count)
    let message = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return message.isEmpty ? "HDF5 gave no reason" : String(decoding: message, as: UTF8.self)
  }

  static var version: String {
    locked {
      var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
      H5get_libversion(&major, &minor, &release)
      return "\(major).\(minor).\(release)"
    }
  }
}

/// The version of the HDF5 library in use, such as "1.10.8".
public var hdf5Version: String { HDF5Library.version }

/// Owns one HDF5 identifier of any kind and gives it back. Bind it with `let` before using its `id`: a temporary ends before
/// the call that takes the `id`.
struct Handle: ~Copyable {
  let id: hid_t

  init(_ id: hid_t, orThrow error: (String) -> Diagnostic) throws(Diagnostic) {
    guard id >= 0 else { throw error(HDF5Library.errorText) }
    self.id = id
  }

  deinit {
    let id = id
    _ = HDF5Library.locked { H5Idec_ref(id) }
  }
}
