#include "bench/run/picture.h"

#include <algorithm>

#include <fmt/core.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/parallel.h"
#include "qkv/base/progress.h"
#include "qkv/kernels/peak.h"
#include "qkv/models/mixer.h"
#include "qkv/models/swin_ir.h"
#include "qkv/models/vit.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/shape.h"
#include "qkv/train/optimiser.h"

namespace qkv::bench {
namespace {

double number(std::int64_t n) { return static_cast<double>(n); }

// Operations of the products of one picture, forward; a multiply-add counts two.

double operations(const Vit::Config& c, std::int64_t) {
  const double s = number(c.patches().count()), rows = s + number(c.tokens()), w = number(c.width);
  const double f = c.feed_forward > 0 ? number(c.feed_forward) : 4 * w;
  return 2 *
         (s * number(c.patch * c.patch * c.channels) * w +
          number(c.layers) * rows * (4 * w * w + 2 * w * f + 2 * rows * w) + w * number(c.classes));
}

double operations(const Mixer::Config& c, std::int64_t) {
  const double s = number(c.patches().count()), w = number(c.width);
  return 2 * (s * number(c.patch * c.patch * c.channels) * w +
              number(c.layers) * 2 * s * w * (number(c.token_width) + number(c.channel_width)) +
              w * number(c.classes));
}

double operations(const SwinIr::Config& c, std::int64_t pixels) {
  const double w = number(c.width), window = number(c.window * c.window);
  std::int64_t layers = 0;
  for (const std::int64_t depth : c.depths) layers += depth;
  const double layer = w * w * (4 + 2 * c.mlp_ratio) + 2 * window * w;
  const double convolutions = 9 * w * w * (number(std::ssize(c.depths)) + 1) +
                              9 * w * number(c.channels * (1 + c.scale * c.scale));
  return 2 * number(pixels) * (number(layers) * layer + convolutions);
}

struct Measured {
  double seconds = 0, share = 0;
};

/// The median of `runs` after one that is not counted, and its share of the peak beside it.
template <class Run>
Measured measure(int runs, double work, Run&& run) {
  std::vector<double> seconds, shares;
  for (int i = -1; i < runs; ++i) {
    const double peak = kernels::measure_fma_peak(threads());
    const double taken = seconds_of(run);
    if (i < 0) continue;
    seconds.push_back(taken);
    shares.push_back(work / taken / peak);
  }
  return {median(seconds), median(shares)};
}

template <class Model>
void run(PictureCase name, Model model, const Grids& pictures, const PictureOptions& o,
         const Say& say, Report& report) {
  const Tensor x = random_numbers({pictures.total(), 3}, 1, 0.25);
  const double work = number(o.batch) * operations(model.config, pictures[0].count());
  const Measured forward = measure(o.runs, work, [&] { (void)model(x, pictures); });
  Json found = {{"network", name_of(name)},
                {"parameters", parameter_count(model)},
                {"gflop", 1e-9 * work},
                {"forward_seconds", forward.seconds},
                {"forward_share_of_fma_peak", forward.share}};
  std::string line = fmt::format(
      "{} of {} parameters, {} of {} x {}, {} threads: forward {:.1f} ms ({:.2f} GFLOP, {:.1f} % "
      "of the FMA peak)",
      name_of(name), grouped(parameter_count(model)), o.batch, pictures[0].rows, pictures[0].cols,
      threads(), 1e3 * forward.seconds, 1e-9 * work, 100 * forward.share);
  if (o.step) {
    Optimiser optimiser(model, {});
    std::uint64_t at = 0;
    const Measured step = measure(o.runs, 3 * work, [&] {
      optimiser.clear_gradients();
      Tape tape;
      Tensor loss;
      {
        const Recording on(tape, key_of(1, ++at));
        const Tensor y = model(x, pictures);
        loss = scale(sum(multiply(y, y)), 1.0 / number(y.count()));
      }
      tape.backward(loss);
      optimiser.step(1e-4);
    });
    found["step_seconds"] = step.seconds;
    found["step_share_of_fma_peak"] = step.share;
    line += fmt::format(", step {:.1f} ms ({:.1f} %)", 1e3 * step.seconds, 100 * step.share);
  }
  say(line);
  report.text += line + "\n";
  report.json["cases"].push_back(std::move(found));
}

}  // namespace

Report picture(const PictureOptions& o, const Say& say) {
  Report report{.json = {{"bench", "picture"},
                         {"threads", threads()},
                         {"batch", o.batch},
                         {"cases", Json::array()}},
                .text = ""};
  const Grids usual = Grids::of(o.batch, {224, 224}), own = Grids::of(o.batch, {o.side, o.side});
  for (const PictureCase name : o.networks) {
    switch (name) {
      case PictureCase::vit_ti:
        run(name, Vit::make(1, vit_sizes("ti/16")), usual, o, say, report);
        break;
      case PictureCase::mixer_s:
        run(name, Mixer::make(1, mixer_sizes("s/16")), usual, o, say, report);
        break;
      case PictureCase::swin_ir_light:
        run(name, SwinIr::make(1, swin_ir_sizes("lightweight", 2)), own, o, say, report);
        break;
    }
  }
  return report;
}

}  // namespace qkv::bench
