#include "include/kernels.h"
#include "target/tables.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
static int has_dot_products(void) { return (getauxval(AT_HWCAP) & 1 << 20) != 0; }  // HWCAP_ASIMDDP
#elif defined(__aarch64__)
static int has_dot_products(void) { return 1; }  // as every Apple processor with 64-bit Arm that runs macOS
#endif

const sq_kernels *sq_kernels_for(sq_isa isa) {
  switch (isa) {
    case SQ_ISA_REFERENCE: return &sq_kernels_reference;
    case SQ_ISA_PORTABLE: return &sq_kernels_portable;
#if defined(__x86_64__)
    case SQ_ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &sq_kernels_avx2 : NULL;
    case SQ_ISA_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512vnni")
                 ? &sq_kernels_avx512
                 : NULL;
#elif defined(__aarch64__)
    case SQ_ISA_NEON: return has_dot_products() ? &sq_kernels_neon : NULL;
#endif
    default: return NULL;
  }
}
