#include "fuzz/directory.h"

QKV_FUZZ_MAIN(directory)
