import CGzip
import Crypto
package import Diagnostics
package import Foundation

/// Reads a whole file of at most `limit` bytes.
func readFile(_ url: URL, limit: Int) throws(Diagnostic) -> Data {
  guard FileManager.default.fileExists(atPath: url.path), !isFolder(url) else {
    throw Diagnostic(url.path, "no such file", remedy: "check the path")
  }
  let size = (try? FileStatus(url.path))?.bytes ?? 0
  guard size <= limit else {
    throw Diagnostic(
      url.path, "the file has \(size) bytes, more than the \(limit) that the data set's can have",
      remedy: "pass the official file")
  }
  do {
    return try Data(contentsOf: url)
  } catch {
    throw Diagnostic(url.path, "cannot be read", remedy: "check its permissions")
  }
}

/// Decompresses gzip data of at most `limit` bytes once decompressed; `path` is named in errors.
package func gunzip(_ data: Data, path: String, limit: Int) throws(Diagnostic) -> Data {
  var plain: UnsafeMutablePointer<UInt8>?
  var count = 0
  var error = [CChar](repeating: 0, count: Int(CGZIP_ERROR_SIZE))
  let status = data.withUnsafeBytes {
    cgzip_decompress($0.bindMemory(to: UInt8.self).baseAddress, $0.count, limit, &plain, &count, &error)
  }
  guard status == 0 else {
    let reason = String(decoding: error.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    throw Diagnostic(path, reason, remedy: "download it again")
  }
  guard let plain else { return Data() }
  return Data(
    bytesNoCopy: plain, count: count,
    deallocator: .custom { memory, _ in cgzip_free(memory.assumingMemoryBound(to: UInt8.self)) })
}

func md5(_ data: Data) -> String {
  Insecure.MD5.hash(data: data).hexadecimal
}

/// Regular files of an uncompressed tar archive, by the last component of their names.
package func untar(_ archive: Data, path: String) throws(Diagnostic) -> [String: Data] {
  func damaged(_ reason: String) -> Diagnostic {
    Diagnostic(path, reason, remedy: "download it again")
  }
  let blockSize = 512
  var files: [String: Data] = [:]
  var offset = archive.startIndex
  while archive.endIndex - offset >= blockSize {
    let header = [UInt8](archive[offset..<offset + blockSize])
    if header.allSatisfy({ $0 == 0 }) { return files }
    func octal(_ field: Range<Int>) -> Int? {
      let digits = header[field].filter { $0 != 0 && $0 != UInt8(ascii: " ") }
      return Int(String(decoding: digits, as: UTF8.self), radix: 8)
    }
    // The header's checksum counts its own eight bytes as blanks.
    let sum = header.enumerated().reduce(0) { $0 + (148..<156 ~= $1.offset ? 32 : Int($1.element)) }
    guard octal(148..<156) == sum, let size = octal(124..<136), size >= 0 else {
      throw damaged("not a tar archive, or a damaged one")
    }
    offset += blockSize
    guard size <= archive.endIndex - offset else { throw damaged("the tar archive is truncated") }
    let name = String(decoding: header[0..<100].prefix { $0 != 0 }, as: UTF8.self)
    let isFile = header[156] == UInt8(ascii: "0") || header[156] == 0
    if isFile, let last = name.split(separator: "/").last, files[String(last)] == nil {
      files[String(last)] = archive[offset..<offset + size]
    }
    offset += min((size + blockSize - 1) / blockSize * blockSize, archive.endIndex - offset)
  }
  throw damaged("the tar archive is truncated")
}

/// Images as a publisher's files hold them, before they become PNG files.
package struct RawImages: Sendable {
  let size: PixelSize
  /// 1 for gray, 3 for RGB.
  let channels: Int
  /// `[count][height][width][channels]`.
  var pixels: [UInt8] = []
  /// Index into the publisher's class names.
  var labels: [UInt8] = []

  var imageBytes: Int { size.width * size.height * channels }
}
