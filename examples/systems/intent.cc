// intent MODEL < text: what each line wants, and its slots.
#include <cstdio>
#include <iostream>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 2) return std::puts("usage: intent MODEL < text"), 2;
  const auto model = qkv::IntentModel::load(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = model.recognise(line);
    std::printf("%s", answer.label.c_str());
    for (const auto& s : answer.spans) std::printf("\t%s=%s", s.type.c_str(), s.text.c_str());
    std::puts("");
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
