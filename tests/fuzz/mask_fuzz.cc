#include "fuzz/mask.h"

QKV_FUZZ_MAIN(qkv::fuzz_mask)
