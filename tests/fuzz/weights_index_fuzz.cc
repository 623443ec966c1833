#include "fuzz/weights_index.h"

QKV_FUZZ_MAIN(weights_index)
