#include "fuzz/cifar.h"

QKV_FUZZ_MAIN(cifar)
