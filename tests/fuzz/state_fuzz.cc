#include "fuzz/state.h"

QKV_FUZZ_MAIN(qkv::fuzz_state)
