#include "qkv/base/parallel.h"

namespace qkv {
namespace {
int g_threads = 0;
}

int threads() { return g_threads > 0 ? g_threads : omp_get_max_threads(); }

void set_threads(int count) {
  g_threads = std::max(1, count);
  omp_set_num_threads(g_threads);  // oneDNN reads it from the same runtime
}

}  // namespace qkv
