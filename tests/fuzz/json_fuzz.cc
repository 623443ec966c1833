#include "fuzz/json.h"

QKV_FUZZ_MAIN(json)
