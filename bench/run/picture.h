// Networks of pictures at their published sizes: the forward pass and a training step, the medians
// of several, as shares of the FMA peak. bench/peers/torch_pictures.py runs the same in PyTorch.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "bench/run/bench.h"

namespace qkv::bench {

enum class PictureCase : std::uint8_t { vit_ti, mixer_s, swin_ir_light };
constexpr std::array<std::string_view, 3> spelling(PictureCase) {
  return {"vit-ti/16", "mixer-s/16", "swinir-light"};
}

struct PictureOptions {
  std::vector<PictureCase> networks = {PictureCase::vit_ti, PictureCase::mixer_s,
                                       PictureCase::swin_ir_light};
  std::int64_t batch = 1;
  std::int64_t side = 256;  // of SwinIR's input; the other two read 224 × 224
  bool step = false;
  int runs = 5;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"networks", "Which, one or several"}, o.networks);
    visit({"batch", "Pictures at once", between(1, 4096)}, o.batch);
    visit({"side", "Pixels a side of what SwinIR enlarges", between(8, 4096)}, o.side);
    visit({"step", "A training step (forward, backward, Adam) as well"}, o.step);
    visit({"runs", "Runs measured, of which the median counts", runs_bounds()}, o.runs);
  }
};
Report picture(const PictureOptions& options, const Say& say);

}  // namespace qkv::bench
