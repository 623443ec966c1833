#include "fuzz/pieces.h"

QKV_FUZZ_MAIN(pieces)
