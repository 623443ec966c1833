// Classes for pictures: a square picture in, a score a class out.
//
//   vit        the Vision Transformer (models/vit.h): patches attend to each other
//   mixer      MLP-Mixer (models/mixer.h): perceptrons over patches and over channels
//   cnn        3 × 3 convolutions (models/picture_cnn.h)
//   quadratic  attention by relative position alone (models/quadratic_network.h)
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/models/mixer.h"
#include "qkv/models/picture_cnn.h"
#include "qkv/models/quadratic_network.h"
#include "qkv/models/vit.h"

namespace qkv {

enum class PictureKind : std::uint8_t { vit, mixer, cnn, quadratic };
constexpr std::array<std::string_view, 4> spelling(PictureKind) {
  return {"vit", "mixer", "cnn", "quadratic"};
}

struct PictureNetwork {
  struct Config {
    PictureKind kind = PictureKind::vit;
    std::int64_t side = 0;      // pixels, of a square picture
    std::int64_t channels = 1;  // 1 or 3
    std::int64_t classes = 10;
    std::int64_t patch = 4;           // all but cnn: a side
    std::int64_t width = 64;          // all but cnn
    std::int64_t layers = 4;          // all but cnn
    std::int64_t heads = 4;           // vit, quadratic
    std::int64_t feed_forward = 128;  // all but cnn: inside the perceptrons (mixer: over channels)
    std::int64_t token_width = 32;    // mixer: inside the perceptrons over patches
    std::int64_t ring = 1;            // quadratic: places of zeros around the picture
    std::vector<std::int64_t> widths = {32, 48, 64, 80, 56};  // cnn
    std::vector<std::int64_t> strides = {1, 2, 2, 1, 2};      // cnn
    double dropout = 0.0;                                     // all but cnn

    /// Those that the kind has.
    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"kind"}, c.kind);
      visit({"side", "Pixels of the square that pictures are resized to (0: their own)",
             between(0, 4096)},
            c.side);
      visit({"channels"}, c.channels);
      visit({"classes"}, c.classes);
      sizes(c, visit, [&c](std::initializer_list<PictureKind> kinds) {
        return std::find(kinds.begin(), kinds.end(), c.kind) != kinds.end();
      });
    }
    /// The sizes of the kinds that `has` says yes to.
    template <class Self, class Visit, class Has>
    static void sizes(Self& c, Visit&& visit, Has&& has) {
      using enum PictureKind;
      if (has({vit, mixer, quadratic})) {
        visit({"patch", "vit, mixer, quadratic: pixels of a side", between(1, 4096)}, c.patch);
        visit({"width", "vit, mixer, quadratic: numbers a patch", side_bounds()}, c.width);
        visit({"layers", "vit, mixer, quadratic", between(1, 1000)}, c.layers);
      }
      if (has({vit, quadratic})) visit({"heads", "vit, quadratic", side_bounds()}, c.heads);
      if (has({vit, mixer, quadratic})) {
        visit(
            {"feed_forward", "vit, mixer, quadratic: width inside the perceptrons", side_bounds()},
            c.feed_forward);
      }
      if (has({mixer})) {
        visit({"token_width", "mixer: the same of those over patches", side_bounds()},
              c.token_width);
      }
      if (has({quadratic})) {
        visit({"ring", "quadratic: places of zeros around the picture that may be looked at",
               between(0, 64)},
              c.ring);
      }
      if (has({cnn})) {
        visit({"widths", "cnn: channels of each 3 × 3 convolution", side_bounds()}, c.widths);
        visit({"strides", "cnn: of each", between(1, 64)}, c.strides);
      }
      if (has({vit, mixer, quadratic})) {
        visit({"dropout", "vit, mixer, quadratic", share()}, c.dropout);
      }
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
    /// The patches of a picture; of cnn, the places that its mean is over.
    Grid places() const;
    bool attends() const { return kind == PictureKind::vit || kind == PictureKind::quadratic; }
  };

  Config config;
  std::variant<Vit, Mixer, PictureCnn, QuadraticNetwork> network;

  static PictureNetwork make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    std::visit([&](auto& held) { std::remove_cvref_t<decltype(held)>::each(held, visit); },
               m.network);
  }

  /// x [B·side² channels], picture after picture, row by row -> logits [B K].
  Tensor operator()(const Tensor& x) const;
};

}  // namespace qkv
