// Shapes checked by their documentation. A call states the letters of its arguments once,
//   Dims d("attend", {{"q", q.shape(), "Tq H D"}, {"k", k.shape(), "Tk Hkv D"}});
// and gets both the check and the sizes: d["H"]. A number in place of a letter must match exactly.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/base/shape.h"

namespace qkv {

class Dims {
 public:
  struct Argument {
    std::string_view name;
    const Shape& shape;
    std::string_view letters;  // separated by one space
  };

  /// Throws ShapeError "attend: D is 8 but k has 6; q [Tq H D] = [17, 3, 8], k [Tk Hkv D] = …".
  Dims(std::string_view call, std::initializer_list<Argument> arguments);

  /// The size bound to a letter; throws when no argument used it.
  std::int64_t operator[](std::string_view letter) const;

 private:
  std::string call_;
  std::vector<std::pair<std::string, std::int64_t>> sizes_;
};

}  // namespace qkv
