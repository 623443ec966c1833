#include "qkv/base/dims.h"

#include <charconv>

namespace qkv {
namespace {

std::vector<std::string_view> split(std::string_view letters) {
  std::vector<std::string_view> parts;
  while (!letters.empty()) {
    const std::size_t space = letters.find(' ');
    parts.push_back(letters.substr(0, space));
    letters.remove_prefix(space == std::string_view::npos ? letters.size() : space + 1);
  }
  return parts;
}

std::string list(std::initializer_list<Dims::Argument> arguments) {
  std::string text;
  for (const Dims::Argument& a : arguments) {
    text += fmt::format("{}{} [{}] = {}", text.empty() ? "" : ", ", a.name, a.letters,
                        to_string(a.shape));
  }
  return text;
}

}  // namespace

Dims::Dims(std::string_view call, std::initializer_list<Argument> arguments) : call_(call) {
  for (const Argument& a : arguments) {
    const std::vector<std::string_view> letters = split(a.letters);
    if (static_cast<int>(letters.size()) != a.shape.rank()) {
      fail<ShapeError>("{}: {} has {} axes, expected {}; {}", call, a.name, a.shape.rank(),
                       letters.size(), list(arguments));
    }
    for (int axis = 0; axis < a.shape.rank(); ++axis) {
      const std::string_view letter = letters[static_cast<std::size_t>(axis)];
      const std::int64_t size = a.shape[axis];
      std::int64_t expected = size;
      if (letter[0] >= '0' && letter[0] <= '9') {
        std::from_chars(letter.data(), letter.data() + letter.size(), expected);
      } else {
        bool known = false;
        for (const auto& [name, bound] : sizes_) {
          if (name == letter) {
            expected = bound;
            known = true;
          }
        }
        if (!known) sizes_.emplace_back(letter, size);
      }
      if (size != expected) {
        fail<ShapeError>("{}: {} is {} but {} has {}; {}", call, letter, expected, a.name, size,
                         list(arguments));
      }
    }
  }
}

std::int64_t Dims::operator[](std::string_view letter) const {
  for (const auto& [name, size] : sizes_) {
    if (name == letter) return size;
  }
  fail<ShapeError>("{}: no argument has a letter {}", call_, letter);
}

}  // namespace qkv
