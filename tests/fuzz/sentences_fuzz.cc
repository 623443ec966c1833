#include "fuzz/sentences.h"

QKV_FUZZ_MAIN(qkv::fuzz_sentences)
