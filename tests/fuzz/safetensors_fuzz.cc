#include "fuzz/safetensors.h"

QKV_FUZZ_MAIN(safetensors)
