#include "fuzz/tables.h"

QKV_FUZZ_MAIN(qkv::fuzz_tables)
