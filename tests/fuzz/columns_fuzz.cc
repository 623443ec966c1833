#include "fuzz/columns.h"

QKV_FUZZ_MAIN(qkv::fuzz_columns)
