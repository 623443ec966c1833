#include "fuzz/json.h"

QKV_FUZZ_MAIN(qkv::fuzz_json)
