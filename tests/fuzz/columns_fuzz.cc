#include "fuzz/columns.h"

QKV_FUZZ_MAIN(columns)
