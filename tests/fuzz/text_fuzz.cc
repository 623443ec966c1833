#include "fuzz/text.h"

QKV_FUZZ_MAIN(text)
