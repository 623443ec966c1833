#include "fuzz/ct2.h"

QKV_FUZZ_MAIN(ct2)
