#include "fuzz/pieces.h"

QKV_FUZZ_MAIN(qkv::fuzz_pieces)
