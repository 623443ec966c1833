#include "fuzz/weights_index.h"

QKV_FUZZ_MAIN(qkv::fuzz_weights_index)
