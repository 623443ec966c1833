#include "fuzz/jpeg.h"

QKV_FUZZ_MAIN(jpeg)
