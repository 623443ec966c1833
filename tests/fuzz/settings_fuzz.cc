#include "fuzz/settings.h"

QKV_FUZZ_MAIN(qkv::fuzz_settings)
