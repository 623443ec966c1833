#include "fuzz/lines.h"

QKV_FUZZ_MAIN(lines)
