#include "fuzz/tables.h"

QKV_FUZZ_MAIN(tables)
