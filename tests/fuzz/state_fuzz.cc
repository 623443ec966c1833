#include "fuzz/state.h"

QKV_FUZZ_MAIN(state)
