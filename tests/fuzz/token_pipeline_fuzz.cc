#include "fuzz/token_pipeline.h"

QKV_FUZZ_MAIN(token_pipeline)
