#include "cpu.h"

int sq_isa_available(sq_isa isa) {
  switch (isa) {
    case SQ_ISA_REFERENCE:
    case SQ_ISA_PORTABLE:
      return 1;
#if defined(__x86_64__)
    case SQ_ISA_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case SQ_ISA_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vnni");
#endif
    default:
      return 0;
  }
}

sq_isa sq_isa_best(void) {
  for (int isa = SQ_ISA_AVX512; isa > SQ_ISA_PORTABLE; isa--)
    if (sq_isa_available((sq_isa)isa)) return (sq_isa)isa;
  return SQ_ISA_PORTABLE;
}

const char *sq_isa_name(sq_isa isa) {
  switch (isa) {
    case SQ_ISA_REFERENCE: return "reference";
    case SQ_ISA_PORTABLE: return "portable";
    case SQ_ISA_AVX2: return "avx2";
    case SQ_ISA_AVX512: return "avx512";
  }
  return "unknown";
}
