#include "fuzz/archive.h"

QKV_FUZZ_MAIN(archive)
