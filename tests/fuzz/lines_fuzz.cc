#include "fuzz/lines.h"

QKV_FUZZ_MAIN(qkv::fuzz_lines)
