#include "fuzz/nodes.h"

QKV_FUZZ_MAIN(nodes)
