#include "fuzz/idx.h"

QKV_FUZZ_MAIN(idx)
