#include "fuzz/mask.h"

QKV_FUZZ_MAIN(mask)
