#include "fuzz/ppm.h"

QKV_FUZZ_MAIN(ppm)
