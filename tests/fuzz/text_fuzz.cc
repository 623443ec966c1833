#include "fuzz/text.h"

QKV_FUZZ_MAIN(qkv::fuzz_text)
