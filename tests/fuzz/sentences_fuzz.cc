#include "fuzz/sentences.h"

QKV_FUZZ_MAIN(sentences)
