#include "fuzz/png.h"

QKV_FUZZ_MAIN(png)
