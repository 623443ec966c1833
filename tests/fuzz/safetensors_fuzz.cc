#include "fuzz/safetensors.h"

QKV_FUZZ_MAIN(qkv::fuzz_safetensors)
