import CKernels

/// The instruction sets that kernels are compiled for. Results agree to the bit within one, to rounding between two.
public enum InstructionSet: String, Codable, Sendable, CaseIterable {
  /// Plain scalar loops: what the others are checked against.
  case reference
  /// Vector code for the build's default target.
  case portable
  case avx2
  case avx512

  var code: sq_isa {
    switch self {
    case .reference: SQ_ISA_REFERENCE
    case .portable: SQ_ISA_PORTABLE
    case .avx2: SQ_ISA_AVX2
    case .avx512: SQ_ISA_AVX512
    }
  }

  public var isAvailable: Bool { sq_kernels_for(code) != nil }

  /// The best one of this machine.
  public static var best: InstructionSet { available.last ?? .portable }

  public static var available: [InstructionSet] { allCases.filter(\.isAvailable) }
}
