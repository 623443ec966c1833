// pictures MODEL FOLDER: sixteen pictures of a trained generator.
#include <cstdio>
#include <string>

#include <qkv/qkv.h>

int main(int argc, char** argv) try {
  if (argc != 3) return std::puts("usage: pictures MODEL FOLDER"), 2;
  const auto model = qkv::PictureGenerator::load(argv[1]);
  int number = 0;
  for (const auto& made : model.generate({.count = 16, .label = {}, .seed = 1})) {
    const std::string name = std::to_string(number++) + ".png";
    qkv::save_picture(made.picture, std::string(argv[2]) + "/" + name);
    std::printf("%s\t%s\n", name.c_str(), made.label.c_str());
  }
} catch (const qkv::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
