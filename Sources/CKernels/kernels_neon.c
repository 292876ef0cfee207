#define SQ_TARGET SQ_TARGET_NEON
#include "target/vector.h"

#if SQ_TARGET_BUILDS
#include "target/family.h"
#endif
