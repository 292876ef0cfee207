#ifndef SQ_KERNELS_H
#define SQ_KERNELS_H

// The kernels of training: every inner loop, once as a reference and once for each instruction set.
//
// Where things are
//   include/       contracts: what each kernel computes, from and into which buffers; part by part
//   reference/     each kernel as its formula says: what the others are checked against (kernels_reference.c)
//   convolution/, elementwise/    the kernels, written once for vectors of any length; static functions in headers
//   target/        vector.h: an instruction set's vectors; arithmetic.h: shared arithmetic; family.h: all kernels;
//                  table.h: which function is which member of sq_kernels
//   kernels_*.c    one translation unit for each instruction set
//   dispatch.c     the one place that chooses
//
// To add a kernel
//   1. Say what it computes in its part's contract in include/, as a member of the part's struct (a new part: a header
//      of its own, included below, and a member of sq_kernels).
//   2. Write the formula in reference/ and the kernel in convolution/ or elementwise/, as static functions of the same
//      name. All functions of an instruction set meet in one translation unit: a name begins with its part's.
//   3. Enter that name in target/table.h; a new header also in target/family.h, or in kernels_reference.c.
//   4. Check it against the reference over awkward sizes in Tests/KernelsTests.
//
// To add an instruction set
//   1. A section of target/vector.h: SQ_LANES, SQ_REGISTERS, SQ_NAME, SQ_ISA_NAME, and the functions' target attribute
//      in SQ_KERNELS_BEGIN. Kernels are complete with that; where a special instruction pays (the integer products in
//      convolution/integer.h), they ask for SQ_TARGET.
//   2. kernels_<instruction set>.c, like its neighbours.
//   3. A value of sq_isa below, an extern table in target/tables.h, a case in dispatch.c and one in InstructionSet of
//      Sources/Kernels.

#include "convolution.h"
#include "integer_convolution.h"
#include "integer_weight_gradient.h"
#include "normalization.h"
#include "pooling.h"
#include "quantization.h"
#include "sparse_weight_gradient.h"

/// Instruction sets that the kernels are compiled for. Results agree to the bit within one and to rounding between two;
/// integers agree to the bit between all.
typedef enum sq_isa {
  SQ_ISA_REFERENCE = 0,  ///< plain scalar loops in the order of the formula
  SQ_ISA_PORTABLE = 1,   ///< vector extensions with the build's default target (SSE2, NEON, ...)
  SQ_ISA_AVX2 = 2,       ///< AVX2 + FMA
  SQ_ISA_AVX512 = 3,     ///< AVX-512 F, BW, DQ, VL and VNNI
  SQ_ISA_NEON = 4        ///< NEON with dot products
} sq_isa;

/// All kernels of one instruction set.
typedef struct sq_kernels {
  const char *name;  ///< of the instruction set: "reference", "portable", "avx2", "avx512" or "neon"
  sq_convolution_kernels convolution;
  sq_integer_convolution_kernels integer_convolution;
  sq_sparse_weight_gradient_kernels sparse_weight_gradient;
  sq_integer_weight_gradient_kernels integer_weight_gradient;
  sq_normalization_kernels normalization;
  sq_quantization_kernels quantization;
  sq_pooling_kernels pooling;
  /// Runs `iterations` rounds of independent multiply-adds kept in registers, as many as hide their latency. Returns
  /// the floating-point operations done, two a multiply-add; the caller takes the time.
  double (*peak_fma)(int64_t iterations);
} sq_kernels;

/// The kernels for an instruction set, for as long as the process lives; NULL where this machine cannot run it.
const sq_kernels *sq_kernels_for(sq_isa isa);

#endif
