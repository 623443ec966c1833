// The optimiser owns the memory of all parameters that it trains: weights, gradients and moments
// each lie in one flat block, so a step is one pass and clipping one sum. The module's tensors
// become views into it. Parameters that a rule excludes stay where they are, frozen.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/module.h"
#include "qkv/train/trainable.h"

namespace qkv {

struct OptimiserOptions {
  enum class Kind : std::uint8_t { adam, sgd };
  Kind kind = Kind::adam;
  double beta1 = 0.9, beta2 = 0.98, eps = 1e-8;  // adam
  double momentum = 0.0;                         // sgd
  double decay = 0.0;                            // decoupled weight decay (AdamW) or L2 (SGD)
  bool decay_vectors = true;    // biases and norms too; false: only what has two axes decays
  bool bias_correction = true;  // of Adam's moments; BERT's published training has none
  double clip_norm = 0.0;       // largest global gradient norm; 0: no clipping
  double ema = 0.0;             // decay of the exponential moving average of the weights; 0: none

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"optimiser", "adam (AdamW with --decay) or sgd"}, o.kind);
    visit(changeable({"beta2", "Adam's second decay", share()}), o.beta2);
    visit(changeable({"momentum", "For sgd", share()}), o.momentum);
    visit(changeable({"decay", "Weight decay", between(0, 1)}), o.decay);
    visit(changeable({"clip", "Largest gradient norm (0: none)", non_negative()}), o.clip_norm);
    visit({"ema", "Decay of a moving average of the weights (0: none)", share()}, o.ema);
  }

  /// Throws Error for a number out of its range: decays and momentum lie in [0, 1), eps, decay and
  /// clip_norm are finite and not negative.
  void check() const;
};
constexpr std::array<std::string_view, 2> spelling(OptimiserOptions::Kind) {
  return {"adam", "sgd"};
}

class Optimiser {
 public:
  /// Moves every parameter of `module` that `factor` trains into flat memory (its tensors keep
  /// their numbers and names) and freezes the others. Throws Error when nothing is left to train.
  template <class M>
  Optimiser(M& module, const OptimiserOptions& options, const Trainable& factor = {})
      : options_(options) {
    options.check();
    for_each_parameter(module, [&](std::string_view path, Tensor& p) {
      adopt(path, p, factor ? factor(path) : 1.0);
    });
    lay_out();
    std::size_t i = 0;
    for_each_parameter(module, [&](std::string_view, Tensor& p) {
      if (!is_frozen(p)) p = slots_[i++].weight;
    });
  }

  void clear_gradients();
  /// One update with the gradients that backward left; parameters that nothing reached count as
  /// zero. Returns the global norm before clipping. Throws NumericError naming the first tensor
  /// whose gradient is not finite; nothing has changed then.
  double step(double rate);
  /// Its two halves, for what is to happen between them: the check of the gradients, which gives
  /// the norm, and the update.
  double check_gradients();
  void update(double rate, double norm);

  /// Throws NumericError naming the first parameter with a weight, moment or average that is not
  /// finite.
  void check_finite() const;

  std::int64_t steps() const { return steps_; }
  /// Numbers that are trained, those that fill cache lines included.
  std::int64_t count() const { return weights_.count(); }

  /// For saving and resuming: "weights", "m", "v", "ema" as flat tensors (views, not copies).
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// Puts saved numbers back; throws when a name or size does not fit.
  void restore(std::int64_t steps, const std::vector<std::pair<std::string, Tensor>>& state);

  /// A copy of the flat weights (or of their average), and the way back.
  Tensor snapshot() const { return weights_.clone(); }
  bool has_average() const { return ema_.defined(); }
  const Tensor& average() const { return ema_; }
  void set_weights(const Tensor& flat);

 private:
  struct Slot {
    std::string path;
    Tensor weight;
    double factor = 1;  // of the rate
    std::int64_t offset = 0;
  };
  /// What slots that are stepped in one pass have in common.
  struct Pace {
    double factor = 1, decay = 0;
    bool operator==(const Pace&) const = default;
  };
  void adopt(std::string_view path, const Tensor& p, double factor);
  void lay_out();
  void changed();
  /// f(pace, first number, count) for each run of parameters of one pace; mostly that is all.
  template <class F>
  void for_each_run(F&& f) const;
  void adam(double rate, double gradient_scale, double ema_decay);
  void sgd(double rate, double gradient_scale, double ema_decay);
  Pace pace_of(const Slot& slot) const;

  OptimiserOptions options_;
  std::vector<Slot> slots_;
  Tensor weights_, gradients_, m_, v_, ema_;
  std::int64_t steps_ = 0;
};

}  // namespace qkv
