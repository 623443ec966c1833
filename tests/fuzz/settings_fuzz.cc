#include "fuzz/settings.h"

QKV_FUZZ_MAIN(settings)
