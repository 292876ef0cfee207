import Foundation

/// Whether `make sanitize` runs the tests, in which what a sanitizer does to memory and crashes is not the program's.
public let isSanitized = ProcessInfo.processInfo.environment["SPQAT_SANITIZE"] != nil
