// Exits 0 when an installed qkv can be included, linked and called: attention over a packed batch
// and a tokeniser, so that the private libraries of a static qkv are needed too.
#include <cstdio>
#include <string>
#include <vector>

#include <qkv/attention/attend.h>
#include <qkv/text/tokeniser.h>

int main() {
  using namespace qkv;
  const Segments batch({3, 2});
  const Tensor x = Tensor::full({batch.total(), 2, 4}, 0.5);
  const Tensor out = attend(x, x, x, {.mask = segments(batch) & causal()});
  const std::vector<std::string> text = {"the dog runs", "the cat runs"};
  const Tokeniser tokeniser =
      Tokeniser::train({.kind = TokeniserOptions::Kind::bpe, .vocabulary_size = 30}, text);
  const bool right = out.count() == 40 && out.data()[7] == 0.5f &&
                     tokeniser.decode(tokeniser.encode("the dog")) == "the dog";
  std::printf("attend gave %s, the tokeniser %d tokens\n", to_string(out.shape()).c_str(),
              tokeniser.size());
  return right ? 0 : 1;
}
