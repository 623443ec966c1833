#include "fuzz/directory.h"

QKV_FUZZ_MAIN(qkv::fuzz_directory)
