// Exits 0 when an installed qkv can be included, linked and called: attention over a packed batch,
// and a system that is not there, so that the private libraries of a static qkv are needed too.
#include <cstdio>

#include <qkv/qkv.h>

int main() {
  using namespace qkv;
  const Segments batch({3, 2});
  const Tensor x = Tensor::full({batch.total(), 2, 4}, 0.5);
  const Tensor out = attend(x, x, x, {.mask = segments(batch) & causal()});
  bool named = false;
  try {
    (void)qkv::open("no-such-model");
  } catch (const FileError& e) {
    named = std::string(e.what()).find("no-such-model") != std::string::npos;
  }
  std::printf("attend gave %s\n", to_string(out.shape()).c_str());
  return out.count() == 40 && out.data()[7] == 0.5F && named ? 0 : 1;
}
