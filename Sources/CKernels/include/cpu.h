#ifndef SQ_CPU_H
#define SQ_CPU_H

/// Instruction sets a table of kernels can be compiled for. The same C source makes all but the reference;
/// results agree to rounding between them and to the bit within one.
typedef enum sq_isa {
  SQ_ISA_REFERENCE = 0,  ///< plain scalar loops in the order of the formula: what the others are checked against
  SQ_ISA_PORTABLE = 1,   ///< vector extensions with the build's default target (SSE2, NEON, ...)
  SQ_ISA_AVX2 = 2,       ///< AVX2 + FMA
  SQ_ISA_AVX512 = 3      ///< AVX-512 F, BW, DQ, VL and VNNI
} sq_isa;

/// 1 where this machine can run kernels of `isa`, else 0.
int sq_isa_available(sq_isa isa);

/// The best instruction set of this machine.
sq_isa sq_isa_best(void);

/// "reference", "portable", "avx2" or "avx512".
const char *sq_isa_name(sq_isa isa);

#endif
