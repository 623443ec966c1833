#include "fuzz/sound.h"

QKV_FUZZ_MAIN(sound)
