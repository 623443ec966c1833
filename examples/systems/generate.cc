// generate MODEL PROMPT: a language model goes on, piece by piece.
#include <cstdio>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 3) return std::puts("usage: generate MODEL PROMPT"), 2;
  const auto generator = qkv::Generator::load(argv[1]);
  const std::vector<std::string> prompts = {argv[2]};
  generator.generate(prompts, {.tokens = 100, .temperature = 0.8},
                     [](std::int64_t, std::string_view piece) {
                       std::fwrite(piece.data(), 1, piece.size(), stdout);
                       return true;  // false ends the text
                     });
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
