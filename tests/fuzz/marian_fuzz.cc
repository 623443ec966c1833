#include "fuzz/marian.h"

QKV_FUZZ_MAIN(marian)
