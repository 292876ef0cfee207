import CKernels

/// The instruction sets that kernels are compiled for. Results agree to the bit within one, to rounding between two.
public enum InstructionSet: String, Codable, Sendable, CaseIterable {
  /// Plain scalar loops: what the others are checked against.
  case reference
  /// Vector code for the build's default target.
  case portable
  /// With FMA; x86-64 alone.
  case avx2
  /// With BW, DQ, VL and VNNI; x86-64 alone.
  case avx512
  /// With dot products; 64-bit Arm alone.
  case neon

  var code: sq_isa {
    switch self {
    case .reference: SQ_ISA_REFERENCE
    case .portable: SQ_ISA_PORTABLE
    case .avx2: SQ_ISA_AVX2
    case .avx512: SQ_ISA_AVX512
    case .neon: SQ_ISA_NEON
    }
  }

  /// Whether kernels were built for it and this processor has it; `reference` and `portable` always are.
  public var isAvailable: Bool { sq_kernels_for(code) != nil }

  /// The best one of this machine.
  public static var best: InstructionSet { available.last ?? .portable }

  /// Of this machine, from the simplest to the best.
  public static var available: [InstructionSet] { allCases.filter(\.isAvailable) }
}
