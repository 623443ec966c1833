#include "fuzz/list.h"

QKV_FUZZ_MAIN(list)
