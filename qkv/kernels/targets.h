// Which instruction sets our own loops are compiled for: to be included before
// <hwy/foreach_target.h>. Three cover every x86-64 of use, and each more costs compile time: the
// baseline, AVX2 (Haswell, Zen 1) and AVX-512 (Skylake-X, Zen 4). What comes between runs the next
// lower one.
#pragma once

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
